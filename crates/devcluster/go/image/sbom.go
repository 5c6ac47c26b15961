package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
)

// A bill of materials in CycloneDX, as far as it is changed here; the rest is passed on.
type bill struct {
	Format       string            `json:"bomFormat"`
	Spec         string            `json:"specVersion"`
	Version      int               `json:"version"`
	Metadata     json.RawMessage   `json:"metadata"`
	Components   []json.RawMessage `json:"components"`
	Dependencies []dependency      `json:"dependencies"`
}

type dependency struct {
	Ref       string   `json:"ref"`
	DependsOn []string `json:"dependsOn,omitempty"`
}

type component struct {
	Ref     string `json:"bom-ref"`
	Name    string `json:"name"`
	Version string `json:"version"`
}

// Takes from a bill what is not in the program: `cargo metadata`, which it was made from, lists packages too that no chosen feature
// asks for. The packages are those of `cargo tree`, one a line.
func reduce(given options) error {
	if len(given.rest) != 2 {
		return errors.New("accepted is:\n" + usage)
	}
	packages, err := os.ReadFile(given.rest[0])
	if err != nil {
		return err
	}
	kept := map[string]bool{}
	for line := range strings.Lines(string(packages)) {
		if words := strings.Fields(line); len(words) > 1 {
			kept[words[0]+" "+words[1]] = true
		}
	}
	text, err := os.ReadFile(given.rest[1])
	if err != nil {
		return err
	}
	var all bill
	if err := json.Unmarshal(text, &all); err != nil {
		return err
	}
	if err := all.keep(kept); err != nil {
		return err
	}
	output := json.NewEncoder(os.Stdout)
	output.SetEscapeHTML(false)
	output.SetIndent("", "  ")
	return output.Encode(all)
}

func (all *bill) keep(kept map[string]bool) error {
	dropped := map[string]bool{}
	var components []json.RawMessage
	for _, raw := range all.Components {
		var each component
		if err := json.Unmarshal(raw, &each); err != nil {
			return fmt.Errorf("a component: %w", err)
		}
		if kept[each.Name+" v"+each.Version] {
			components = append(components, raw)
		} else {
			dropped[each.Ref] = true
		}
	}
	var dependencies []dependency
	for _, each := range all.Dependencies {
		if dropped[each.Ref] {
			continue
		}
		var on []string
		for _, ref := range each.DependsOn {
			if !dropped[ref] {
				on = append(on, ref)
			}
		}
		dependencies = append(dependencies, dependency{each.Ref, on})
	}
	all.Components, all.Dependencies = components, dependencies
	return nil
}
