// Command gitops-oracle answers what the libraries of Argo CD and Flux make of Kubernetes objects.
//
// Objects come as YAML documents or a JSON array on standard input; one JSON array of answers, in the same order, goes to standard
// output. Each command is a file of its own.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
)

const usage = `usage: gitops-oracle COMMAND [ARGUMENT...] < objects
  health SCRIPT                  {status, message} by a health.lua, as Argo CD runs it
  discovery SCRIPT               the actions that a discovery.lua offers
  action SCRIPT [NAME=VALUE...]  what an action.lua makes of the object, as {object} or {error}
  kstatus                        {status, message} by the library that Flux waits with`

type command func(arguments []string, object *unstructured.Unstructured) (any, error)

var commands = map[string]command{
	"health":    health,
	"discovery": discovery,
	"action":    action,
	"kstatus":   kstatus,
}

func main() {
	if err := run(os.Args[1:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(arguments []string, in io.Reader, out io.Writer) error {
	if len(arguments) == 0 || commands[arguments[0]] == nil {
		return errors.New(usage)
	}
	objects, err := read(in)
	if err != nil {
		return err
	}
	answers := []any{}
	for _, object := range objects {
		answer, err := commands[arguments[0]](arguments[1:], object)
		if err != nil {
			return fmt.Errorf("%s/%s: %w", object.GetKind(), object.GetName(), err)
		}
		answers = append(answers, answer)
	}
	return json.NewEncoder(out).Encode(answers)
}

// read takes numbers as the API machinery does: whole ones as int64, as Argo CD has them of live objects.
func read(in io.Reader) ([]*unstructured.Unstructured, error) {
	objects := []*unstructured.Unstructured{}
	decoder := utilyaml.NewYAMLOrJSONDecoder(in, 4096)
	for {
		var raw json.RawMessage
		if err := decoder.Decode(&raw); errors.Is(err, io.EOF) {
			return objects, nil
		} else if err != nil {
			return nil, fmt.Errorf("reading the objects: %w", err)
		}
		documents := []json.RawMessage{raw}
		if len(raw) > 0 && raw[0] == '[' {
			if err := json.Unmarshal(raw, &documents); err != nil {
				return nil, fmt.Errorf("reading the array: %w", err)
			}
		}
		for _, document := range documents {
			object := &unstructured.Unstructured{}
			if err := object.UnmarshalJSON(document); err != nil {
				return nil, fmt.Errorf("reading an object: %w", err)
			}
			objects = append(objects, object)
		}
	}
}
