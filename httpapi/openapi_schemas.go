package httpapi

import (
	"maps"
	"reflect"
	"strings"
	"unicode"

	"github.com/tesd/tesd/client"
)

// alive is the answer of a process that is well.
type alive struct {
	Status string `json:"status"`
}

// anyObject is an object of which no more is said.
type anyObject struct{}

// The bodies of requests that are read differently from what the Go client sends: its
// types cannot say all that is refused.
type (
	// entityInput is an entity whose version may be left out.
	entityInput struct {
		client.Entity
		CurrentVersion string `json:"currentVersion,omitzero"`
	}

	// batchItem is a bump within a batch, to which a dry run belongs as a whole.
	batchItem struct {
		client.BumpRequest
		DryRun bool `json:"-"`
	}

	batchInput struct {
		Requests []batchItem `json:"requests"`
		DryRun   bool        `json:"dryRun,omitzero"`
	}

	migrateInput struct {
		Source   string        `json:"source"`
		Entities []entityInput `json:"entities"`
	}
)

// schemas are the schemas of Go types, by the types' names.
type schemas map[string]object

// of returns the schema of v's type, which it keeps by its name.
func (s schemas) of(v any) object { return s.ofType(reflect.TypeOf(v)) }

func (s schemas) ofType(t reflect.Type) object {
	if enum := enumOf(t); enum != nil {
		s[t.Name()] = object{"type": "string", "enum": enum}
		return ref("schemas", t.Name())
	}
	switch t.Kind() {
	case reflect.String:
		return object{"type": "string"}
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Uint64:
		return object{"type": "integer", "minimum": 0}
	case reflect.Int, reflect.Int64:
		return object{"type": "integer"}
	case reflect.Pointer:
		return s.ofType(t.Elem())
	case reflect.Slice:
		return object{"type": "array", "items": s.ofType(t.Elem())}
	case reflect.Struct:
		if t == reflect.TypeFor[anyObject]() {
			return object{"type": "object"}
		}
		name := nameOf(t)
		if _, ok := s[name]; !ok {
			s[name] = object{} // so that a type within itself ends
			s[name] = s.ofStruct(t)
		}
		return ref("schemas", name)
	}
	panic("no schema for a " + t.String()) // a test makes the document
}

// ofStruct returns the schema of an object, which has no fields but those of the type.
func (s schemas) ofStruct(t reflect.Type) object {
	notes, properties, required := fieldNotes(), object{}, []string{}
	for _, f := range reflect.VisibleFields(t) {
		tag := f.Tag.Get("json")
		if f.Anonymous || tag == "-" {
			continue
		}
		name, optional := strings.CutSuffix(tag, ",omitzero")
		if !optional {
			required = append(required, name)
		}
		property := maps.Clone(s.ofType(f.Type))
		if f.Type.Kind() == reflect.Pointer && !optional {
			property["type"] = []string{property["type"].(string), "null"}
		}
		maps.Copy(property, notes[name])
		maps.Copy(property, notes[nameOf(t)+"."+name])
		properties[name] = property
	}
	schema := object{"type": "object", "properties": properties, "additionalProperties": false}
	if len(required) > 0 {
		schema["required"] = required
	}
	return schema
}

// nameOf is what the document calls a type.
func nameOf(t reflect.Type) string {
	first := []rune(t.Name())
	first[0] = unicode.ToUpper(first[0])
	return string(first)
}

// enumOf returns the values of a type that has few.
func enumOf(t reflect.Type) any {
	switch t {
	case reflect.TypeFor[client.Scope]():
		return []client.Scope{client.Major, client.Minor, client.Patch}
	case reflect.TypeFor[client.Outcome]():
		return []client.Outcome{client.OutcomeRejected, client.OutcomeNotApplied, client.OutcomeUnknown}
	case reflect.TypeFor[client.Code]():
		return sortedCodes()
	}
	return nil
}
