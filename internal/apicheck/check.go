package apicheck

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Exchange is a request and its answer, with their bodies read to the end.
type Exchange struct {
	Request      *http.Request
	RequestBody  []byte
	Response     *http.Response
	ResponseBody []byte
}

// Check returns all in which an exchange differs from the document, nil for nothing. A
// request is held against it only if it was accepted: what to refuse is the server's to
// know.
func (d *Document) Check(x *Exchange) error {
	found := d.check(x)
	if len(found) == 0 {
		return nil
	}
	return fmt.Errorf("%s %s: status %d: not as the document says: %w",
		x.Request.Method, x.Request.URL.RequestURI(), x.Response.StatusCode, errors.Join(found...))
}

func (d *Document) check(x *Exchange) []error {
	status := x.Response.StatusCode
	unknown := func(want int, r *response) []error {
		if status != want {
			return []error{fmt.Errorf("the document has no such route, but the status is not %d", want)}
		}
		return r.check(x)
	}
	route, variables := d.find(x.Request.URL)
	if route == nil {
		return unknown(http.StatusNotFound, d.notFound)
	}
	method := x.Request.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	o := route.operations[method]
	if o == nil {
		return unknown(http.StatusMethodNotAllowed, d.methodNotAllowed)
	}
	r := o.responses[status]
	if r == nil {
		return []error{errors.New("the document does not tell of that status")}
	}
	found := r.check(x)
	if status < http.StatusBadRequest {
		found = append(found, o.checkRequest(x, variables)...)
	}
	return found
}

// find returns the path that a URL is of, and what its variables stand for.
func (d *Document) find(u *url.URL) (*path, map[string]string) {
	segments := strings.Split(strings.TrimPrefix(u.EscapedPath(), "/"), "/")
	for i, s := range segments {
		s, err := url.PathUnescape(s)
		if err != nil || s == "" || s == "." || s == ".." {
			return nil, nil // not clean, so of none
		}
		segments[i] = s
	}
	for _, p := range d.paths {
		if variables, ok := p.match(segments); ok {
			return p, variables
		}
	}
	return nil, nil
}

func (p *path) match(segments []string) (variables map[string]string, ok bool) {
	last := len(p.segments) - 1
	if p.slashes && len(segments) > len(p.segments) {
		segments = append(slices.Clone(segments[:last]), strings.Join(segments[last:], "/"))
	}
	if len(segments) != len(p.segments) {
		return nil, false
	}
	variables = make(map[string]string)
	for i, want := range p.segments {
		if name, ok := strings.CutPrefix(want, "{"); ok {
			variables[strings.TrimSuffix(name, "}")] = segments[i]
		} else if want != segments[i] {
			return nil, false
		}
	}
	return variables, true
}

// unsaid are the headers of answers that are HTTP's own.
//
// immutable: nothing writes to it.
var unsaid = []string{"Content-Length", "Content-Type", "Date"}

func (r *response) check(x *Exchange) (found []error) {
	for name, h := range r.headers {
		if _, given := x.Response.Header[name]; h.required && !given {
			found = append(found, fmt.Errorf("header %s is missing", name))
		}
	}
	for name, values := range x.Response.Header {
		h := r.headers[name]
		switch {
		case slices.Contains(unsaid, name):
		case h == nil:
			found = append(found, fmt.Errorf("header %s: the document does not tell of it", name))
		default:
			found = append(found, h.check("header "+name, values)...)
		}
	}
	if len(r.content) == 0 {
		if len(x.ResponseBody) > 0 {
			found = append(found, errors.New("there is a body"))
		}
		return found
	}
	media, _, err := mime.ParseMediaType(x.Response.Header.Get("Content-Type"))
	schema := r.content[media]
	switch {
	case err != nil || schema == nil:
		found = append(found, fmt.Errorf("the document does not tell of the type %q of the body", media))
	case x.Request.Method == http.MethodHead:
	case media != "application/json":
		found = append(found, validate("body", schema, string(x.ResponseBody))...)
	default:
		found = append(found, validateJSON(schema, x.ResponseBody)...)
	}
	return found
}

func (o *operation) checkRequest(x *Exchange, variables map[string]string) (found []error) {
	given := make(map[string][]string)
	for name, value := range variables {
		given["path:"+name] = []string{value}
	}
	for name, values := range x.Request.URL.Query() {
		given["query:"+name] = values
	}
	for key, p := range o.parameters {
		if name, ok := strings.CutPrefix(key, "header:"); ok && x.Request.Header[http.CanonicalHeaderKey(name)] != nil {
			given[key] = x.Request.Header[http.CanonicalHeaderKey(name)]
		}
		if p.required && given[key] == nil {
			found = append(found, fmt.Errorf("request: %s is missing", key))
		}
	}
	for key, values := range given {
		if p := o.parameters[key]; p != nil {
			found = append(found, p.check("request: "+key, values)...)
		} else {
			found = append(found, fmt.Errorf("request: the document does not tell of %s", key))
		}
	}
	switch {
	case o.body != nil && !o.bodyNeeded && len(x.RequestBody) == 0:
	case o.body != nil:
		for _, err := range validateJSON(o.body, x.RequestBody) {
			found = append(found, fmt.Errorf("request: %w", err))
		}
	case len(x.RequestBody) > 0 && x.Request.Method != http.MethodGet && x.Request.Method != http.MethodHead: // of which a body has no meaning
		found = append(found, errors.New("request: the document does not tell of a body"))
	}
	return found
}

// check holds a parameter or a header against its schema.
func (v *value) check(what string, values []string) []error {
	if len(values) != 1 {
		return []error{fmt.Errorf("%s is given %d times", what, len(values))}
	}
	var given any = values[0]
	switch v.kind {
	case "integer":
		given = json.Number(values[0])
	case "boolean":
		given = values[0] == "true"
	}
	return validate(what, v.schema, given)
}

func validateJSON(schema *jsonschema.Schema, body []byte) []error {
	parsed, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		return []error{fmt.Errorf("body: %w", err)}
	}
	return validate("body", schema, parsed)
}

func validate(what string, schema *jsonschema.Schema, v any) []error {
	if err := schema.Validate(v); err != nil {
		return []error{fmt.Errorf("%s: %w", what, err)}
	}
	return nil
}
