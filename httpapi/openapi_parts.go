package httpapi

import (
	"strings"

	"github.com/tesd/tesd/fsm"
)

// parameter is a parameter of a request as the OpenAPI document describes it.
type parameter struct {
	Name        string `json:"name"`
	In          string `json:"in"`
	Description string `json:"description"`
	Required    bool   `json:"required,omitzero"`
	Schema      object `json:"schema"`

	// Slashes says that the value may hold slashes, escaped or not, for which OpenAPI
	// has no word.
	Slashes bool `json:"x-slashes,omitzero"`
}

func queryParam(name, description string, schema object) parameter {
	return parameter{Name: name, In: "query", Description: description, Schema: schema}
}

func headerParam(name, description string, schema object) parameter {
	return parameter{Name: name, In: "header", Description: description, Schema: schema}
}

// everywhere are the parameters of every request.
func everywhere() []parameter {
	return []parameter{headerParam("X-Request-Id", "The caller's name for the request, for the log; another is taken if it is not sane.", textSchema())}
}

func registryParameter() parameter {
	return parameter{
		Name: "registry", In: "path", Description: "The id of the registry.", Required: true,
		Schema: nameSchema(),
	}
}

// pathParameters describes the variable part of a route's path.
func pathParameters(pattern string) []parameter {
	_, name, found := strings.Cut(pattern, "{")
	if !found {
		return nil
	}
	name, slashes := strings.CutSuffix(strings.TrimSuffix(name, "}"), "...")
	p := parameter{Name: name, In: "path", Required: true, Slashes: slashes, Description: "The id of the entity.", Schema: idSchema()}
	switch {
	case name == "revision":
		p.Description, p.Schema = "The revision that the transaction made.", revisionSchema()
	case strings.HasPrefix(pattern, "/cluster/"):
		p.Description, p.Schema = "The id of the node.", nameSchema()
	}
	return []parameter{p}
}

// Schemas of parameters. Each call returns one of its own.

func textSchema() object { return object{"type": "string"} }
func boolSchema() object { return object{"type": "boolean"} }
func idSchema() object {
	return object{"description": "The id of an entity.", "type": "string", "minLength": 1, "maxLength": 256, "pattern": "^[A-Za-z0-9@:._~+/-]+$"}
}
func nameSchema() object {
	return object{"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"}
}
func revisionSchema() object { return object{"type": "integer", "minimum": 0} }
func pageSizeSchema() object { return object{"type": "integer", "minimum": 1, "maximum": maxPage} }
func typeSchema() object {
	return object{"description": "What kind of thing an entity is.", "enum": []fsm.EntityType{fsm.TypeGlobal, fsm.TypeComponent, fsm.TypeAPIScope, fsm.TypeCLITool, fsm.TypeDocumentation}}
}

// headerRefs refers to headers by their names.
func headerRefs(names ...string) object {
	refs := object{}
	for _, name := range names {
		refs[name] = ref("headers", name)
	}
	return refs
}

// headers describes the headers of answers. One that is required is in every answer
// that may have it.
func headers() object {
	always := func(description, pattern string) object {
		return object{"description": description, "required": true, "schema": object{"type": "string", "pattern": pattern}}
	}
	maybe := func(description, pattern string) object {
		return object{"description": description, "schema": object{"type": "string", "pattern": pattern}}
	}
	return object{
		"Sec-Websocket-Version": maybe("The version of the protocol that is spoken.", "^13$"),
		"ETag":                  always("The revision of the registry, in quotes.", `^"[0-9]+"$`),
		"Tes-Revision":          always("The revision of the registry.", "^[0-9]+$"),
		"Tes-Applied-Index":     always("The index of the last log entry in the state.", "^[0-9]+$"),
		"Tes-State-Hash":        always("The hash of the state's content.", "^[0-9a-f]{64}$"),
		"Tes-Request-Id":        always("The name of the request in the log: the caller's X-Request-Id, or one that was made.", "^.+$"),
		"Tes-Node":              always("The id of the node that answered.", "^.+$"),
		"Tes-Cluster":           maybe("The id of the cluster, once it is founded and the node has heard of it.", "^[0-9a-f]{32}$"),
		"Cache-Control":         always("Answers may be kept, and are asked about each time.", "^no-cache$"),
		"Tes-Sig":               maybe("The signature of the transaction, if there was one.", "^[0-9a-f]{64}$"),
		"Idempotency-Replayed":  maybe("This is the answer that an earlier request with this key had.", "^true$"),
		"Retry-After":           always("After how many seconds to try again.", "^[0-9]+$"),
		"Allow":                 always("The methods that the route takes.", "^[A-Z]+(, [A-Z]+)*$"),
	}
}
