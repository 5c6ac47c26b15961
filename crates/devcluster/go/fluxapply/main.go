// Applies manifests as Flux's kustomize-controller does, by the library that it applies with.
//
// Reads {"items": [manifest, ...]} from standard input, applies them to the API server that KUBECONFIG names, and writes a JSON list of
// {kind, namespace, name, action} to standard output; the action is created, configured, unchanged or skipped.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/fluxcd/pkg/ssa"
	"github.com/fluxcd/pkg/ssa/normalize"
	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

const (
	manager = "kustomize-controller"
	group   = "kustomize.toolkit.fluxcd.io"
)

type result struct {
	Kind      string `json:"kind"`
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	Action    string `json:"action"`
}

func main() {
	log.SetLogger(logr.Discard())
	results, err := run(context.Background(), os.Stdin)
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(results)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "flux-apply:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, manifests io.Reader) ([]result, error) {
	var input struct {
		Items []map[string]any `json:"items"`
	}
	if err := json.NewDecoder(manifests).Decode(&input); err != nil {
		return nil, fmt.Errorf("standard input: %w", err)
	}
	var objects []*unstructured.Unstructured
	for _, item := range input.Items {
		objects = append(objects, &unstructured.Unstructured{Object: item})
	}
	if err := normalize.UnstructuredList(objects); err != nil {
		return nil, err
	}
	config, err := clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))
	if err != nil {
		return nil, err
	}
	kube, err := client.New(config, client.Options{})
	if err != nil {
		return nil, err
	}
	applier := ssa.NewResourceManager(kube, nil, ssa.Owner{Field: manager, Group: group})
	applier.SetOwnerLabels(objects, "sales", "flux-system")
	// Flux applies in stages and waits for namespaces between them; what comes of each object is the same.
	changes, err := applier.ApplyAll(ctx, objects, options())
	if err != nil {
		return nil, err
	}
	results := []result{}
	for _, entry := range changes.Entries {
		id := entry.ObjMetadata
		results = append(results, result{id.GroupKind.Kind, id.Namespace, id.Name, string(entry.Action)})
	}
	return results, nil
}

// What kustomize-controller sets in `apply` of internal/controller/kustomization_controller.go. That the manager `kubectl` is taken for
// a prefix is what matters here: whatever kubectl has added to an object counts as applied by Flux, and goes with the next apply.
func options() ssa.ApplyOptions {
	options := ssa.DefaultApplyOptions()
	options.ExclusionSelector = map[string]string{group + "/reconcile": "disabled", group + "/ssa": "Ignore"}
	options.IfNotPresentSelector = map[string]string{group + "/ssa": "IfNotPresent"}
	options.ForceSelector = map[string]string{group + "/force": "enabled"}
	options.Cleanup = ssa.ApplyCleanupOptions{
		Annotations: []string{
			corev1.LastAppliedConfigAnnotation, "kustomize.toolkit.fluxcd.io/checksum", "fluxcd.io/sync-checksum",
		},
		Labels: []string{"fluxcd.io/sync-gc-mark"},
		FieldManagers: []ssa.FieldManager{
			{Name: "kubectl", OperationType: metav1.ManagedFieldsOperationApply},
			{Name: "kubectl", OperationType: metav1.ManagedFieldsOperationUpdate},
			{Name: "before-first-apply", OperationType: metav1.ManagedFieldsOperationUpdate},
			{Name: manager, OperationType: metav1.ManagedFieldsOperationUpdate},
		},
		Exclusions: map[string]string{group + "/ssa": "Merge"},
	}
	return options
}
