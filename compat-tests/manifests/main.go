// Reads YAML files and prints their documents as a JSON list. Documents of Kubernetes are decoded into the types of
// its API first, where a field that does not exist, or is of another type, is an error.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"sigs.k8s.io/yaml"
)

type head struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
}

// A value of the type that a document says it is; anything for documents that are not Kubernetes's.
func typed(of head) (any, error) {
	switch of.APIVersion + " " + of.Kind {
	case " ":
		return &map[string]any{}, nil
	case "v1 ConfigMap":
		return &corev1.ConfigMap{}, nil
	case "v1 Service":
		return &corev1.Service{}, nil
	case "policy/v1 PodDisruptionBudget":
		return &policyv1.PodDisruptionBudget{}, nil
	case "apps/v1 StatefulSet":
		return &appsv1.StatefulSet{}, nil
	}
	return nil, fmt.Errorf("unknown kind: %s %s", of.APIVersion, of.Kind)
}

func read(path string) ([]any, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var documents []any
	for _, document := range bytes.Split(text, []byte("\n---\n")) {
		var of head
		if err := yaml.Unmarshal(document, &of); err != nil {
			return nil, err
		}
		value, err := typed(of)
		if err != nil {
			return nil, err
		}
		if err := yaml.UnmarshalStrict(document, value); err != nil {
			return nil, fmt.Errorf("%s: %w", of.Kind, err)
		}
		documents = append(documents, value)
	}
	return documents, nil
}

func main() {
	var all []any
	for _, path := range os.Args[1:] {
		documents, err := read(path)
		if err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", path, err)
			os.Exit(1)
		}
		all = append(all, documents...)
	}
	if err := json.NewEncoder(os.Stdout).Encode(all); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
