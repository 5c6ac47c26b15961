// Tells what Argo CD would show as OutOfSync, by the library that Argo CD itself diffs with.
//
// Reads {"items": [manifest, ...]} from standard input, the live objects from the API server that KUBECONFIG names, and writes a
// JSON list of {kind, name, way, modified, live, predicted} to standard output: each object once for each way of Argo CD's.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/argoproj/argo-cd/gitops-engine/pkg/diff"
	"github.com/argoproj/argo-cd/gitops-engine/pkg/utils/kube"
	"github.com/argoproj/argo-cd/gitops-engine/pkg/utils/tracing"
	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// The field manager that Argo CD applies as.
const manager = "argocd-controller"

type result struct {
	Kind      string          `json:"kind"`
	Name      string          `json:"name"`
	Way       string          `json:"way"`
	Modified  bool            `json:"modified"`
	Live      json.RawMessage `json:"live"`
	Predicted json.RawMessage `json:"predicted"`
}

// statusless is Argo CD's default `ignoreResourceStatusField: all`. No other normalisation of Argo CD's concerns our kinds:
// `knownTypeFields` are set by users, and the rest is for Secrets, roles and endpoints.
type statusless struct{}

func (statusless) Normalize(object *unstructured.Unstructured) error {
	unstructured.RemoveNestedField(object.Object, "status")
	return nil
}

func main() {
	results, err := run()
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(results)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "argo-diff:", err)
		os.Exit(1)
	}
}

func run() ([]result, error) {
	var manifests unstructured.UnstructuredList
	var input struct {
		Items []map[string]any `json:"items"`
	}
	if err := json.NewDecoder(os.Stdin).Decode(&input); err != nil {
		return nil, fmt.Errorf("standard input: %w", err)
	}
	for _, item := range input.Items {
		manifests.Items = append(manifests.Items, unstructured.Unstructured{Object: item})
	}
	config, err := clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))
	if err != nil {
		return nil, err
	}
	kubectl := &kube.KubectlCmd{Log: logr.Discard(), Tracer: tracing.NopTracer{}}
	ways, done, err := waysOf(kubectl, config)
	if err != nil {
		return nil, err
	}
	defer done()

	results := []result{}
	for _, manifest := range manifests.Items {
		live, err := kubectl.GetResource(
			context.Background(), config, manifest.GroupVersionKind(), manifest.GetName(), manifest.GetNamespace())
		if err != nil {
			return nil, fmt.Errorf("%s %s: %w", manifest.GetKind(), manifest.GetName(), err)
		}
		for _, way := range ways {
			found, err := diff.Diff(manifest.DeepCopy(), live.DeepCopy(), way.options...)
			if err != nil {
				return nil, fmt.Errorf("%s %s, %s: %w", manifest.GetKind(), manifest.GetName(), way.name, err)
			}
			results = append(results, result{
				manifest.GetKind(), manifest.GetName(), way.name, found.Modified, found.NormalizedLive, found.PredictedLive})
		}
	}
	return results, nil
}

type way struct {
	name    string
	options []diff.Option
}

// The legacy way is Argo CD's default: three-way where the object carries what was applied last, else two-way.
func waysOf(kubectl *kube.KubectlCmd, config *rest.Config) ([]way, func(), error) {
	_, parser, err := kubectl.LoadOpenAPISchema(config)
	if err != nil {
		return nil, nil, err
	}
	applier, done, err := kubectl.ManageServerSideDiffDryRuns(config)
	if err != nil {
		return nil, nil, err
	}
	common := []diff.Option{
		diff.WithNormalizer(statusless{}), diff.WithGVKParser(parser), diff.WithManager(manager), diff.WithLogr(logr.Discard()),
	}
	with := func(more ...diff.Option) []diff.Option { return append(append([]diff.Option{}, common...), more...) }
	return []way{
		{"legacy", with()},
		{"structured-merge", with(diff.WithStructuredMergeDiff(true))},
		{"server-side", with(diff.WithServerSideDiff(true),
			diff.WithServerSideDryRunner(diff.NewK8sServerSideDryRunner(applier)))},
	}, done, nil
}
