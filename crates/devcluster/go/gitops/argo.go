package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"sort"
	"strings"

	lua "github.com/yuin/gopher-lua"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	luajson "layeh.com/gopher-json"
)

var statuses = []string{"Healthy", "Suspended", "Progressing", "Missing", "Degraded", "Unknown"}

func health(arguments []string, object *unstructured.Unstructured) (any, error) {
	result := struct {
		Status  string `json:"status"`
		Message string `json:"message"`
	}{}
	if err := runInto(arguments, object, &result); err != nil {
		return nil, err
	}
	for _, status := range statuses {
		if result.Status == status {
			return result, nil
		}
	}
	return nil, fmt.Errorf("%q is no health status: %s", result.Status, strings.Join(statuses, ", "))
}

// offer is an action as Argo CD shows it.
type offer struct {
	Name        string           `json:"name"`
	Disabled    bool             `json:"disabled"`
	IconClass   string           `json:"iconClass,omitempty"`
	DisplayName string           `json:"displayName,omitempty"`
	Params      []map[string]any `json:"params,omitempty"`
}

func discovery(arguments []string, object *unstructured.Unstructured) (any, error) {
	offers := map[string]offer{}
	if err := runInto(arguments, object, &offers); err != nil {
		return nil, err
	}
	list := []offer{}
	for name, offer := range offers {
		offer.Name = name
		list = append(list, offer)
	}
	sort.Slice(list, func(i, j int) bool { return list[i].Name < list[j].Name })
	return list, nil
}

func action(arguments []string, object *unstructured.Unstructured) (any, error) {
	result := map[string]any{}
	err := runInto(arguments, object, &result)
	var refusal *lua.ApiError
	if errors.As(err, &refusal) && refusal.Type == lua.ApiErrorRun {
		// What Argo CD shows to the person who asked for the action.
		return map[string]any{"error": refusal.Object.String()}, nil
	}
	if err != nil {
		return nil, err
	}
	return map[string]any{"object": withMaps(result, object.Object)}, nil
}

// runInto runs the script that the first argument names; the others are parameters of an action.
func runInto(arguments []string, object *unstructured.Unstructured, into any) error {
	if len(arguments) == 0 {
		return errors.New(usage)
	}
	parameters := map[string]any{}
	for _, pair := range arguments[1:] {
		name, value, found := strings.Cut(pair, "=")
		if !found {
			return fmt.Errorf("parameter %q: NAME=VALUE is expected", pair)
		}
		parameters[name] = value
	}
	returned, err := runScript(arguments[0], map[string]any{"obj": object.Object, "actionParams": parameters})
	if err != nil {
		return err
	}
	text, err := luajson.Encode(returned)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, into)
}

// withMaps makes maps of empty lists that were maps before: Lua does not tell one from the other, and Argo CD mends that too.
func withMaps(now, before any) any {
	switch was := before.(type) {
	case map[string]any:
		if list, ok := now.([]any); ok && len(list) == 0 {
			return map[string]any{}
		}
		if is, ok := now.(map[string]any); ok {
			for key := range is {
				is[key] = withMaps(is[key], was[key])
			}
		}
	case []any:
		if is, ok := now.([]any); ok {
			for i := range min(len(is), len(was)) {
				is[i] = withMaps(is[i], was[i])
			}
		}
	}
	return now
}
