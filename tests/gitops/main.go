// What GitOps tools say of objects, each by the code that it runs itself: kstatus (kubectl's cli-utils, Helm, Flux
// without expressions), Flux's health expressions in CEL, and Argo CD's health checks in Lua.
//
// Reads one JSON document {"lua": {kind: script}, "cel": {kind: {current, inProgress, failed}}, "objects": [...]} and
// writes one with a verdict for each object, in their order.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/fluxcd/pkg/apis/kustomize"
	"github.com/fluxcd/pkg/runtime/cel"
	lua "github.com/yuin/gopher-lua"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"
)

type question struct {
	Lua     map[string]string                           `json:"lua"`
	Cel     map[string]kustomize.HealthCheckExpressions `json:"cel"`
	Objects []json.RawMessage                           `json:"objects"`
}

type word struct {
	Status  string `json:"status"`
	Message string `json:"message"`
}

type verdict struct {
	Kstatus word   `json:"kstatus"`
	Flux    string `json:"flux"`
	Argo    word   `json:"argo"`
}

func main() {
	if err := answer(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func answer() error {
	var asked question
	if err := json.NewDecoder(os.Stdin).Decode(&asked); err != nil {
		return err
	}
	verdicts := make([]verdict, 0, len(asked.Objects))
	for _, raw := range asked.Objects {
		object := &unstructured.Unstructured{}
		// Numbers as the tools' own clients read them: whole ones are int64.
		if err := object.UnmarshalJSON(raw); err != nil {
			return err
		}
		said, err := judge(&asked, object)
		if err != nil {
			return fmt.Errorf("%s %s: %w", object.GetKind(), object.GetName(), err)
		}
		verdicts = append(verdicts, said)
	}
	return json.NewEncoder(os.Stdout).Encode(verdicts)
}

func judge(asked *question, object *unstructured.Unstructured) (verdict, error) {
	computed, err := status.Compute(object)
	if err != nil {
		return verdict{}, fmt.Errorf("kstatus: %w", err)
	}
	flux, err := expressions(asked.Cel[object.GetKind()], object)
	if err != nil {
		return verdict{}, fmt.Errorf("CEL: %w", err)
	}
	argo, err := health(asked.Lua[object.GetKind()], object)
	if err != nil {
		return verdict{}, fmt.Errorf("Lua: %w", err)
	}
	return verdict{word{computed.Status.String(), computed.Message}, flux, argo}, nil
}

func expressions(checks kustomize.HealthCheckExpressions, object *unstructured.Unstructured) (string, error) {
	evaluator, err := cel.NewStatusEvaluator(&checks)
	if err != nil {
		return "", err
	}
	said, err := evaluator.Evaluate(context.Background(), object)
	if err != nil {
		return "", err
	}
	return said.Status.String(), nil
}

// As Argo CD does it: without the string and math libraries, within a second, on a table that its result is read from.
func health(script string, object *unstructured.Unstructured) (word, error) {
	if object.GetDeletionTimestamp() != nil {
		// No script is asked then.
		return word{"Progressing", "Pending deletion"}, nil
	}
	state := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer state.Close()
	for name, open := range map[string]lua.LGFunction{lua.BaseLibName: lua.OpenBase, lua.TabLibName: lua.OpenTable} {
		if err := state.CallByParam(lua.P{Fn: state.NewFunction(open), Protect: true}, lua.LString(name)); err != nil {
			return word{}, err
		}
	}
	within, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	state.SetContext(within)
	state.SetGlobal("obj", value(state, object.Object))
	if err := state.DoString(script); err != nil {
		return word{}, err
	}
	table, ok := state.Get(-1).(*lua.LTable)
	if !ok {
		return word{}, fmt.Errorf("it returns %s, not a table", state.Get(-1).Type())
	}
	said := word{table.RawGetString("status").String(), table.RawGetString("message").String()}
	switch said.Status {
	case "Healthy", "Progressing", "Degraded", "Suspended", "Missing", "Unknown":
		return said, nil
	}
	return word{}, fmt.Errorf("%q is no health status", said.Status)
}

func value(state *lua.LState, from any) lua.LValue {
	switch from := from.(type) {
	case bool:
		return lua.LBool(from)
	case string:
		return lua.LString(from)
	case int64:
		return lua.LNumber(from)
	case float64:
		return lua.LNumber(from)
	case []any:
		list := state.CreateTable(len(from), 0)
		for _, item := range from {
			list.Append(value(state, item))
		}
		return list
	case map[string]any:
		table := state.CreateTable(0, len(from))
		for key, item := range from {
			table.RawSetString(key, value(state, item))
		}
		return table
	}
	return lua.LNil
}
