package httpapi

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/tesd/tesd/client"
)

// object is an object of the OpenAPI document.
type object map[string]any

func ref(section, name string) object { return object{"$ref": "#/components/" + section + "/" + name} }

func jsonContent(schema object) object { return object{"application/json": object{"schema": schema}} }

// openAPI answers the document that describes the API.
func (s *Server) openAPI(c *call) (*answer, error) {
	if err := c.noQuery(); err != nil {
		return nil, err
	}
	return &answer{body: s.document}, nil
}

// newDocument writes the OpenAPI document from the tables that serve: the routes, the
// kinds of errors, and the types of the answers. What cannot be read off those stands
// in [operations] and [fieldNotes].
func newDocument(version string) ([]byte, error) {
	d := &document{
		paths: object{}, schemas: schemas{}, operations: operations(),
		responses: object{
			"NotFound":         errorResponse(http.StatusNotFound, nil, client.CodeNotFound),
			"MethodNotAllowed": errorResponse(http.StatusMethodNotAllowed, object{"Allow": ref("headers", "Allow")}, client.CodeMethodNotAllowed),
		},
	}
	for _, r := range routes() {
		if err := d.add(r); err != nil {
			return nil, err
		}
	}
	for operation := range d.operations {
		return nil, fmt.Errorf("operation %q is described and has no route", operation)
	}
	d.schemas.of(client.ErrorResponse{})
	d.schemas["Code"]["description"] = codesInWords()
	return json.Marshal(object{
		"openapi": "3.1.0",
		"info": object{
			"title": "tesd", "version": version, "summary": "Versions of things that depend on each other.", "description": about,
			"license": object{"name": "MIT", "identifier": "MIT"},
		},
		"servers":  []object{{"url": "/", "description": "Any node of the cluster."}},
		"security": []object{}, // there is none
		"tags": []object{
			{"name": "registry", "description": "The entities of a registry, their versions and its transactions."},
			{"name": "cluster", "description": "The cluster and all that is in it."},
			{"name": "node", "description": "One node, from its own state; served also while it drains or knows of no leader."},
		},
		"paths":      d.paths,
		"components": object{"schemas": d.schemas, "headers": headers(), "responses": d.responses},
	}, json.Deterministic(true))
}

// about is what the document says first.
const about = "The routes below `/version` are those of the default registry; the same ones below " +
	"`/registries/{registry}/version` are those of any other. `HEAD` works where `GET` does. A path without a route, or " +
	"that is not clean, is answered by the response `NotFound`, and a method that a route does not take by `MethodNotAllowed`."

// document is an OpenAPI document in the making.
type document struct {
	paths, responses object
	schemas          schemas
	operations       map[string]operation // those without a route yet
}

// add describes one route, and its twin for registries with a name.
func (d *document) add(r route) error {
	o, ok := d.operations[r.operation]
	if !ok {
		return fmt.Errorf("operation %q has a route and is not described", r.operation)
	}
	delete(d.operations, r.operation)
	responses := object{}
	for status, response := range o.responses(d.schemas) {
		name := r.operation + "." + strconv.Itoa(status)
		d.responses[name], responses[strconv.Itoa(status)] = response, ref("responses", name)
	}
	describe := func(id, path string, more ...parameter) {
		op := object{"operationId": id, "tags": []string{o.tag}, "summary": o.summary, "responses": responses}
		if o.description != "" {
			op["description"] = o.description
		}
		parameters := slices.Concat(more, pathParameters(r.pattern), o.parameters, everywhere())
		op["parameters"] = parameters
		if o.body != nil {
			op["requestBody"] = object{"required": !o.bodyOptional, "content": jsonContent(d.schemas.of(o.body))}
		}
		item, ok := d.paths[path].(object)
		if !ok {
			item = object{}
			d.paths[path] = item
		}
		item[strings.ToLower(r.method)] = op
	}
	path := strings.ReplaceAll(r.pattern, "...}", "}")
	describe(r.operation, path)
	if path == upgrades {
		describe(r.operation+"AtRoot", upgradesToo)
		describe(r.operation+"OfRegistryAtRoot", "/registries/{registry}"+upgradesToo, registryParameter())
	}
	if strings.HasPrefix(path, "/version/") {
		describe(r.operation+"OfRegistry", "/registries/{registry}"+path, registryParameter())
	}
	return nil
}

// responses returns what the operation answers, by status.
func (o *operation) responses(s schemas) map[int]object {
	success := object{"description": "Done.", "headers": withCommon(o.headers)}
	content := object{}
	if o.answer != nil {
		content = jsonContent(s.of(o.answer))
	}
	if o.text != "" {
		content[cmp.Or(o.media, "text/plain")] = object{"schema": object{"type": "string", "description": o.text}}
	}
	success["content"] = content
	all := map[int]object{cmp.Or(o.status, http.StatusOK): success}
	if o.notModified {
		all[http.StatusNotModified] = object{
			"description": "The caller has this revision already.", "headers": withCommon(o.headers),
		}
	}
	byStatus := make(map[int][]client.Code)
	for _, code := range o.codes {
		byStatus[kinds[code].status] = append(byStatus[kinds[code].status], code)
	}
	for status, codes := range byStatus {
		response := errorResponse(status, o.errorHeaders, codes...)
		if status == http.StatusServiceUnavailable && o.text != "" && o.answer != nil {
			response["content"].(object)["text/plain"] = content["text/plain"]
		}
		all[status] = response
	}
	return all
}

// errorResponse describes an answer that is not a success, with any of codes.
func errorResponse(status int, headers object, codes ...client.Code) object {
	slices.Sort(codes)
	headers = withCommon(headers)
	words := make([]string, len(codes))
	for i, code := range codes {
		words[i] = "`" + string(code) + "`"
		if kinds[code].retryAfter > 0 {
			headers["Retry-After"] = ref("headers", "Retry-After")
		}
	}
	narrowed := object{"properties": object{"error": object{"properties": object{"code": object{"enum": codes}}}}}
	return object{
		"description": http.StatusText(status) + ": " + strings.Join(words, ", ") + ".", "headers": headers,
		"content": jsonContent(object{"allOf": []object{ref("schemas", "ErrorResponse"), narrowed}}),
	}
}

// withCommon adds the headers that every answer has.
func withCommon(headers object) object {
	all := object{}
	maps.Copy(all, headers)
	for _, name := range []string{"Tes-Request-Id", "Tes-Node", "Tes-Cluster", "Cache-Control"} {
		all[name] = ref("headers", name)
	}
	return all
}

// codesInWords lists all codes by status.
func codesInWords() string {
	lines := []string{"The reason of a failure, by the status it comes with:", ""}
	for _, code := range sortedCodes() {
		lines = append(lines, fmt.Sprintf("- %d `%s`, outcome `%s`", kinds[code].status, code, kinds[code].outcome))
	}
	return strings.Join(lines, "\n")
}

// sortedCodes returns all codes by status.
func sortedCodes() []client.Code {
	return slices.SortedFunc(maps.Keys(kinds), func(a, b client.Code) int {
		return cmp.Or(cmp.Compare(kinds[a].status, kinds[b].status), cmp.Compare(a, b))
	})
}
