// Package apicheck holds HTTP traffic against an OpenAPI document, for tests: an answer
// with a status, a header, a code or a field that the document does not tell of is found,
// and so is a request that was accepted although the document does not allow it.
package apicheck

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Document is an OpenAPI 3.1 document, ready to hold traffic against. It is immutable
// and safe for concurrent use. Of OpenAPI it knows what tesd's document is made of.
type Document struct {
	paths            []*path
	notFound         *response // of a path that is not in the document
	methodNotAllowed *response // of a method that a path does not have
}

type path struct {
	template   string
	segments   []string
	slashes    bool                  // the last segment stands for one or more
	operations map[string]*operation // by method
}

type operation struct {
	parameters map[string]*value // by where they stand and what they are called: "query:limit"
	body       *jsonschema.Schema
	bodyNeeded bool
	responses  map[int]*response
}

// value is a parameter or a header.
type value struct {
	required bool
	kind     string // the type of its schema
	schema   *jsonschema.Schema
}

type response struct {
	headers map[string]*value
	content map[string]*jsonschema.Schema // by media type
}

// The parts of a document's text that are looked at.
type (
	text struct {
		Paths      map[string]map[string]operationText `json:"paths"`
		Components struct {
			Headers   map[string]valueText    `json:"headers"`
			Responses map[string]responseText `json:"responses"`
		} `json:"components"`
	}
	operationText struct {
		Parameters  []valueText `json:"parameters"`
		RequestBody *struct {
			Required bool `json:"required"`
		} `json:"requestBody"`
		Responses map[string]responseText `json:"responses"`
	}
	responseText struct {
		Ref     string                     `json:"$ref"`
		Headers map[string]valueText       `json:"headers"`
		Content map[string]json.RawMessage `json:"content"`
	}
	valueText struct {
		Ref      string `json:"$ref"`
		Name     string `json:"name"`
		In       string `json:"in"`
		Required bool   `json:"required"`
		Slashes  bool   `json:"x-slashes"`
		Schema   struct {
			Type string `json:"type"`
		} `json:"schema"`
	}
)

// parser makes a document of its text.
type parser struct {
	text     text
	compiler *jsonschema.Compiler
}

// documentURL is what schemas call the document; it stands for no place.
const documentURL = "https://tesd.invalid/openapi.json"

// Parse reads a document.
func Parse(raw []byte) (*Document, error) {
	p := &parser{compiler: jsonschema.NewCompiler()}
	if err := json.Unmarshal(raw, &p.text); err != nil {
		return nil, fmt.Errorf("reading the document: %w", err)
	}
	whole, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		return nil, fmt.Errorf("reading the document: %w", err)
	}
	if err := p.compiler.AddResource(documentURL, whole); err != nil {
		return nil, fmt.Errorf("reading the document: %w", err)
	}
	return p.document()
}

func (p *parser) document() (d *Document, err error) {
	d = &Document{}
	if d.notFound, err = p.response(responseText{Ref: "#/components/responses/NotFound"}, ""); err != nil {
		return nil, err
	}
	if d.methodNotAllowed, err = p.response(responseText{Ref: "#/components/responses/MethodNotAllowed"}, ""); err != nil {
		return nil, err
	}
	for template, item := range p.text.Paths {
		route := &path{template: template, segments: strings.Split(template[1:], "/"), operations: make(map[string]*operation)}
		for method, text := range item {
			at := "#/paths/" + escape(template) + "/" + method
			if route.operations[strings.ToUpper(method)], err = p.operation(text, at); err != nil {
				return nil, err
			}
			for _, v := range text.Parameters {
				route.slashes = route.slashes || v.Slashes
			}
		}
		d.paths = append(d.paths, route)
	}
	slices.SortFunc(d.paths, func(a, b *path) int { return strings.Compare(a.template, b.template) })
	return d, nil
}

func (p *parser) operation(text operationText, at string) (o *operation, err error) {
	o = &operation{parameters: make(map[string]*value), responses: make(map[int]*response)}
	for i, v := range text.Parameters {
		if o.parameters[v.In+":"+v.Name], err = p.value(v, at+"/parameters/"+strconv.Itoa(i)); err != nil {
			return nil, err
		}
	}
	if text.RequestBody != nil {
		if o.body, err = p.schema(at + "/requestBody/content/application~1json/schema"); err != nil {
			return nil, err
		}
		o.bodyNeeded = text.RequestBody.Required
	}
	for status, r := range text.Responses {
		code, err := strconv.Atoi(status)
		if err != nil {
			return nil, fmt.Errorf("%s: status %q is no number", at, status)
		}
		if o.responses[code], err = p.response(r, at+"/responses/"+status); err != nil {
			return nil, err
		}
	}
	return o, nil
}

func (p *parser) response(text responseText, at string) (r *response, err error) {
	if name, ok := strings.CutPrefix(text.Ref, "#/components/responses/"); ok {
		if text, ok = p.text.Components.Responses[name]; !ok {
			return nil, fmt.Errorf("%s: there is no response %q", at, name)
		}
		at = "#/components/responses/" + escape(name)
	}
	r = &response{headers: make(map[string]*value), content: make(map[string]*jsonschema.Schema)}
	for name, v := range text.Headers {
		if r.headers[http.CanonicalHeaderKey(name)], err = p.value(v, at+"/headers/"+escape(name)); err != nil {
			return nil, err
		}
	}
	for media := range text.Content {
		if r.content[media], err = p.schema(at + "/content/" + escape(media) + "/schema"); err != nil {
			return nil, err
		}
	}
	return r, nil
}

func (p *parser) value(text valueText, at string) (*value, error) {
	if name, ok := strings.CutPrefix(text.Ref, "#/components/headers/"); ok {
		if text, ok = p.text.Components.Headers[name]; !ok {
			return nil, fmt.Errorf("%s: there is no header %q", at, name)
		}
		at = "#/components/headers/" + escape(name)
	}
	schema, err := p.schema(at + "/schema")
	return &value{required: text.Required, kind: text.Schema.Type, schema: schema}, err
}

func (p *parser) schema(at string) (*jsonschema.Schema, error) {
	schema, err := p.compiler.Compile(documentURL + at)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", at, err)
	}
	return schema, nil
}

// escape makes a name part of a JSON pointer in a URL.
func escape(name string) string {
	return url.PathEscape(strings.NewReplacer("~", "~0", "/", "~1").Replace(name))
}
