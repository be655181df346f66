package httpapi_test

import (
	"slices"
	"strings"

	"github.com/tesd/tesd/client"
)

// refusal is a request, and how it is refused.
type refusal struct {
	name    string
	method  string // default POST
	path    string // default /version/bump
	headers []string
	body    string
	status  int
	code    client.Code
	paths   []string // of the details, in order; nil for any
}

// many repeats s with commas between.
func many(s string, n int) string { return strings.TrimSuffix(strings.Repeat(s+",", n), ",") }

// entityJSON is an entity in which parts are replaced: old, new, old, new …
func entityJSON(replace ...string) string {
	return strings.NewReplacer(replace...).Replace(
		`{"id":"x","type":"component","currentVersion":"1.0.0","updateStrategy":"independent","files":[],"displayInUi":true,"displayName":"X"}`)
}

func migrating(entities ...string) string {
	return `{"source":"s","entities":[` + strings.Join(entities, ",") + `]}`
}

func fileJSON(field, value string) string {
	f := map[string]string{"path": `"a"`, "pattern": `"(.*)"`, "replacement": `""`, "description": `""`}
	f[field] = value
	out := `"files":[{`
	for _, name := range []string{"path", "pattern", "replacement", "description", "defaultVersion", "required"} {
		if v, ok := f[name]; ok && v != "" {
			out += `"` + name + `":` + v + `,`
		}
	}
	return strings.TrimSuffix(out, ",") + "}]"
}

func malformedBodies() []refusal {
	bad := func(name, body string, paths ...string) refusal {
		return refusal{name: name, body: body, status: 400, code: client.CodeInvalidRequest, paths: paths}
	}
	return []refusal{
		bad("empty body", "", ""),
		bad("only spaces", " \n", ""),
		bad("not JSON", `scope=patch`, ""),
		bad("cut off", `{"scope":"patch"`, ""),
		bad("trailing data", `{"scope":"patch"} x`, ""),
		bad("two values", `{"scope":"patch"}{}`, ""),
		bad("byte order mark", "\ufeff"+`{"scope":"patch"}`, ""),
		bad("comment", `{"scope":"patch"/**/}`, ""),
		bad("trailing comma", `{"scope":"patch",}`, ""),
		bad("invalid UTF-8", "{\"scope\":\"patch\",\"reason\":\"\xff\"}", "reason"),
		bad("half a surrogate pair", `{"scope":"patch","reason":"\ud800"}`, "reason"),
		bad("not an object", `["patch"]`, ""),
		bad("null body", `null`, ""),
		bad("unknown field", `{"scope":"patch","scop":"x"}`, "scop"),
		bad("name in another case", `{"Scope":"patch"}`, "Scope", "scope"),
		bad("duplicate name", `{"scope":"patch","scope":"minor"}`, "scope"),
		bad("null scope", `{"scope":null}`, "scope"),
		bad("null cascade", `{"scope":"patch","cascade":null}`, "cascade"),
		bad("number for a string", `{"scope":1}`, "scope"),
		bad("string for a bool", `{"scope":"patch","dryRun":"true"}`, "dryRun"),
		bad("number for a bool", `{"scope":"patch","cascade":1}`, "cascade"),
		bad("object for a string", `{"scope":"patch","entityId":{"id":"global:main"}}`, "entityId"),
		bad("too deep", `{"scope":"patch","x":`+strings.Repeat("[", 40)+strings.Repeat("]", 40)+`}`, "x"),
		bad("faults before the end", `{"reason":"\ud800","scope":1,"x":`, "reason"),
		bad("all faults at once", `{"scope":"huge","reason":null,"dryRun":0,"x":1,"y z":{"a":null}}`, "reason", "dryRun", "x", `["y z"]`, "scope"),
	}
}

func badBumps() []refusal {
	bad := func(name, body string, paths ...string) refusal {
		return refusal{name: name, body: body, status: 400, code: client.CodeInvalidRequest, paths: paths}
	}
	list := []refusal{
		bad("no scope", `{}`, "scope"),
		bad("unknown scope", `{"scope":"mega"}`, "scope"),
		bad("empty scope", `{"scope":""}`, "scope"),
		bad("scope in capitals", `{"scope":"PATCH"}`, "scope"),
		bad("empty entityId", `{"scope":"patch","entityId":""}`, "entityId"),
		bad("bad entityId", `{"scope":"patch","entityId":"a b"}`, "entityId"),
		bad("entityId with ..", `{"scope":"patch","entityId":"a/../b"}`, "entityId"),
		bad("entityId too long", `{"scope":"patch","entityId":"`+strings.Repeat("a", 257)+`"}`, "entityId"),
		bad("expectedVersion without entityId", `{"scope":"patch","expectedVersion":"1.0"}`, "expectedVersion"),
		bad("cascade false without entityId", `{"scope":"patch","cascade":false}`, "cascade"),
		bad("empty expectedVersion", `{"scope":"patch","entityId":"global:main","expectedVersion":""}`, "expectedVersion"),
		bad("empty reason", `{"scope":"patch","reason":""}`, "reason"),
		bad("reason too long", `{"scope":"patch","reason":"`+strings.Repeat("a", 1025)+`"}`, "reason"),
		bad("bad scope and bad entityId", `{"scope":"x","entityId":"a b"}`, "scope", "entityId"),
		{name: "unknown entity", body: `{"scope":"patch","entityId":"nope"}`, status: 404, code: client.CodeEntityNotFound},
		{name: "version conflict", body: `{"scope":"patch","entityId":"global:main","expectedVersion":"1.0.0"}`,
			status: 409, code: client.CodeVersionConflict, paths: []string{"expectedVersion"}},
		{name: "revision mismatch", headers: []string{`If-Match: "7"`}, body: `{"scope":"patch"}`,
			status: 412, code: client.CodeRevisionMismatch, paths: []string{"If-Match"}},
		{name: "overflow", body: `{"scope":"patch","entityId":"api:full"}`, status: 422, code: client.CodeVersionOverflow},
		{name: "overflow within all", body: `{"scope":"patch"}`, status: 422, code: client.CodeVersionOverflow},
		{name: "unknown registry", path: "/registries/other/version/bump", body: `{"scope":"patch"}`, status: 404, code: client.CodeRegistryNotFound},
		{name: "registry id with a bad character", path: "/registries/a~b/version/bump", body: `{"scope":"patch"}`, status: 404, code: client.CodeRegistryNotFound},
		{name: "registry id with a slash", path: "/registries/a%2Fb/version/bump", body: `{"scope":"patch"}`, status: 404, code: client.CodeRegistryNotFound},
		{name: "registry id too long", path: "/registries/" + strings.Repeat("a", 65) + "/version/bump", body: `{"scope":"patch"}`, status: 404, code: client.CodeRegistryNotFound},
		{name: "registry id with a dot first", path: "/registries/.a/version/bump", body: `{"scope":"patch"}`, status: 404, code: client.CodeRegistryNotFound},
	}
	for _, r := range slices.Clone(list) { // a plan refuses what the bump would refuse
		if strings.HasPrefix(r.body, `{"`) {
			r.name, r.body = "dry run: "+r.name, `{"dryRun":true,`+r.body[1:]
			list = append(list, r)
		}
	}
	return list
}

func badBatches() []refusal {
	bad := func(name, body string, paths ...string) refusal {
		return refusal{name: "batch: " + name, path: "/version/batch", body: body, status: 400, code: client.CodeInvalidRequest, paths: paths}
	}
	ok := `{"scope":"patch","entityId":"global:main","cascade":false}`
	return []refusal{
		bad("no requests", `{}`, "requests"),
		bad("empty requests", `{"requests":[]}`, "requests"),
		bad("too many requests", `{"requests":[`+many(ok, 257)+`]}`, "requests"),
		bad("requests is no array", `{"requests":{}}`, "requests"),
		bad("null request", `{"requests":[`+ok+`,null]}`, "requests[1]"),
		bad("inner dryRun", `{"requests":[`+ok+`,{"scope":"patch","dryRun":true}]}`, "requests[1].dryRun"),
		bad("faults in several", `{"requests":[{"scope":"x"},{"scope":"patch","entityId":7},{"expectedVersion":"1"}],"dryRun":null}`,
			"requests[1].entityId", "dryRun", "requests[2].scope", "requests[0].scope", "requests[2].expectedVersion"),
		{name: "batch: unknown entity", path: "/version/batch", body: `{"requests":[` + ok + `,{"scope":"patch","entityId":"nope"}]}`,
			status: 404, code: client.CodeEntityNotFound, paths: []string{"requests[1]"}},
		{name: "batch: version conflict after the ones before", path: "/version/batch",
			body:   `{"requests":[` + ok + `,{"scope":"patch","entityId":"global:main","expectedVersion":"1.0"}]}`,
			status: 409, code: client.CodeVersionConflict, paths: []string{"requests[1]"}},
		{name: "batch: overflow", path: "/version/batch", body: `{"dryRun":true,"requests":[` + ok + `,{"scope":"patch"}]}`,
			status: 422, code: client.CodeVersionOverflow, paths: []string{"requests[1]"}},
		{name: "batch: revision mismatch", path: "/version/batch", headers: []string{`If-Match: "0"`}, body: `{"requests":[` + ok + `]}`,
			status: 412, code: client.CodeRevisionMismatch, paths: []string{"If-Match"}},
	}
}

func badMigrates() []refusal {
	const path = "/registries/new/version/migrate"
	bad := func(name, body string, paths ...string) refusal {
		return refusal{name: "migrate: " + name, path: path, body: body, status: 400, code: client.CodeInvalidRequest, paths: paths}
	}
	drop := func(field string) string { return entityJSON(field, "") }
	list := []refusal{
		bad("nothing", `{}`, "entities", "source"),
		bad("empty source", `{"source":"","entities":[]}`, "source"),
		bad("entities is no array", `{"source":"s","entities":{}}`, "entities"),
		bad("null entities", `{"source":"s","entities":null}`, "entities"),
		bad("an entity is no object", migrating(entityJSON(), `"x"`), "entities[1]"),
		bad("unknown field", migrating(entityJSON(`"id":"x"`, `"id":"x","Type":1`)), "entities[0].Type"),
		bad("unknown field of a file", migrating(entityJSON(`"files":[]`, `"files":[{"path":"a","pattern":"","replacement":"","description":"","mode":1}]`)),
			"entities[0].files[0].mode"),
		bad("no id", migrating(drop(`"id":"x",`)), "entities[0].id"),
		bad("no type", migrating(drop(`"type":"component",`)), "entities[0].type"),
		bad("no version", migrating(drop(`"currentVersion":"1.0.0",`)), "entities[0].currentVersion"),
		bad("no strategy", migrating(drop(`"updateStrategy":"independent",`)), "entities[0].updateStrategy"),
		bad("no files", migrating(drop(`"files":[],`)), "entities[0].files"),
		bad("no displayInUi", migrating(drop(`"displayInUi":true,`)), "entities[0].displayInUi"),
		bad("no displayName", migrating(drop(`,"displayName":"X"`)), "entities[0].displayName"),
		bad("bad id", migrating(entityJSON(`"x"`, `"x y"`)), "entities[0].id"),
		bad("bad type", migrating(entityJSON(`component`, `Component`)), "entities[0].type"),
		bad("bad strategy", migrating(entityJSON(`independent`, `linked`)), "entities[0].updateStrategy"),
		bad("empty parent", migrating(entityJSON(`"id":"x"`, `"id":"x","parentVersionId":""`)), "entities[0].parentVersionId"),
		bad("bad parent", migrating(entityJSON(`"id":"x"`, `"id":"x","parentVersionId":"/"`)), "entities[0].parentVersionId"),
		bad("text too long", migrating(entityJSON(`"X"`, `"`+strings.Repeat("x", 4097)+`"`)), "entities[0].displayName"),
		bad("pattern too long", migrating(entityJSON(`"files":[]`, fileJSON("pattern", `"`+strings.Repeat("x", 513)+`"`))), "entities[0].files[0].pattern"),
		bad("no path of a file", migrating(entityJSON(), entityJSON(`"x"`, `"y"`, `"files":[]`, fileJSON("path", ""))), "entities[1].files[0].path"),
		bad("required is no bool", migrating(entityJSON(`"files":[]`, fileJSON("required", `"yes"`))), "entities[0].files[0].required"),
		bad("too many files", migrating(entityJSON(`"files":[]`, `"files":[`+many(`{"path":"a","pattern":"","replacement":"","description":""}`, 65)+`]`)), "entities[0].files"),
	}
	for _, c := range []struct{ name, body, finding string }{
		{"no entities", migrating(), "NO_ENTITIES"},
		{"duplicate id", migrating(entityJSON(), entityJSON()), "DUPLICATE_ID"},
		{"missing parent", migrating(entityJSON(`"id":"x"`, `"id":"x","parentVersionId":"gone"`)), "MISSING_PARENT"},
		{"cycle of independents", migrating(entityJSON(`"id":"x"`, `"id":"x","parentVersionId":"x"`)), "CYCLE"},
		{"linked without a parent", migrating(entityJSON(`independent`, `linked-to-parent`)), "NO_PARENT"},
		{"version 1.2.x", migrating(entityJSON(`1.0.0`, `1.2.x`)), "BAD_VERSION"},
		{"version latest", migrating(entityJSON(`1.0.0`, `latest`)), "BAD_VERSION"},
		{"version -1.0.0", migrating(entityJSON(`1.0.0`, `-1.0.0`)), "BAD_VERSION"},
		{"version of four parts", migrating(entityJSON(`1.0.0`, `1.2.3.4`)), "BAD_VERSION"},
		{"version above 2^63-1", migrating(entityJSON(`1.0.0`, `9223372036854775808.0.0`)), "BAD_VERSION"},
		{"empty version", migrating(entityJSON(`1.0.0`, ``)), "BAD_VERSION"},
		{"bad default version", migrating(entityJSON(`"files":[]`, fileJSON("defaultVersion", `"x"`))), "BAD_VERSION"},
		{"pattern that does not compile", migrating(entityJSON(`"files":[]`, fileJSON("pattern", `"(?=x)"`))), "BAD_PATTERN"},
		{"absolute path", migrating(entityJSON(`"files":[]`, fileJSON("path", `"/etc/passwd"`))), "BAD_PATH"},
		{"path that leaves the root", migrating(entityJSON(`"files":[]`, fileJSON("path", `"a/../../b"`))), "BAD_PATH"},
	} {
		list = append(list, refusal{name: "migrate: " + c.name + " is " + c.finding, path: path, body: c.body, status: 422, code: client.CodeRegistryInvalid})
	}
	return list
}

func badHeaders() []refusal {
	bad := func(name, path string, headers ...string) refusal {
		return refusal{name: name, headers: headers, body: `{"scope":"patch","entityId":"global:main"}`,
			status: 400, code: client.CodeInvalidRequest, paths: []string{path}}
	}
	media := func(name string, headers ...string) refusal {
		return refusal{name: name, headers: headers, body: `{"scope":"patch"}`, status: 415, code: client.CodeUnsupportedMediaType}
	}
	return []refusal{
		bad("key too long", "Idempotency-Key", "Idempotency-Key: "+strings.Repeat("k", 256)),
		bad("key not ASCII", "Idempotency-Key", "Idempotency-Key: schlüssel"),
		bad("key given twice", "Idempotency-Key", "Idempotency-Key: a", "Idempotency-Key: b"),
		bad("If-Match given twice", "If-Match", `If-Match: "1"`, `If-Match: "1"`),
		bad("If-Match star", "If-Match", `If-Match: *`),
		bad("If-Match weak", "If-Match", `If-Match: W/"1"`),
		bad("If-Match bare", "If-Match", `If-Match: 1`),
		bad("If-Match list", "If-Match", `If-Match: "1", "2"`),
		bad("If-Match no number", "If-Match", `If-Match: "x"`),
		bad("If-Match padded", "If-Match", `If-Match: "01"`),
		bad("If-Match too large", "If-Match", `If-Match: "18446744073709551616"`),
		media("no content type", "Content-Type: "),
		media("form", "Content-Type: application/x-www-form-urlencoded"),
		media("text", "Content-Type: text/plain"),
		media("other charset", "Content-Type: application/json; charset=latin1"),
		media("malformed content type", "Content-Type: application/json; charset"),
		media("two content types", "Content-Type: application/json", "Content-Type: application/json"),
		media("compressed", "Content-Encoding: gzip"),
		{name: "query on a write", path: "/version/bump?dryRun=true", body: `{"scope":"patch"}`,
			status: 400, code: client.CodeInvalidRequest, paths: []string{"?dryRun"}},
		{name: "header and body at once", headers: []string{"If-Match: x"}, body: `{"scope":1}`,
			status: 400, code: client.CodeInvalidRequest, paths: []string{"If-Match", "scope"}},
		{name: "body too large", body: `{"scope":"patch"}` + strings.Repeat(" ", 1<<20), status: 413, code: client.CodePayloadTooLarge},
		{name: "batch too large", path: "/version/batch", body: strings.Repeat(" ", 1<<20+1), status: 413, code: client.CodePayloadTooLarge},
	}
}

func badPaths() []refusal {
	var list []refusal
	for _, path := range []string{
		"/", "/version", "/version/", "/version//bump", "//version/bump", "/version/bump/", "/version/./bump", "/version/x/../bump",
		"/version/%2e%2e/version/bump", "/version%2Fbump", "/Version/bump", "/version/bump/x", "/registries/a", "/registries/a/version",
		"/registries//version/bump", "/registries/tes-registry-v1/cluster", "/registries/a/livez",
		"/version/entities", "/version/entities/", "/version/entities/a/", "/version/entities//a", "/version/entities/a//b", "/version/entities/a/../b",
		"/version/entities/a%2F..%2Fb/..", "/version/receipts", "/version/receipts/1/2", "/metrics2", "/cluster/", "/livez/x",
	} {
		for _, method := range []string{"GET", "POST", "DELETE"} {
			list = append(list, refusal{name: method + " " + path, method: method, path: path, status: 404, code: client.CodeNotFound})
		}
	}
	for path, methods := range map[string]string{
		"/version/bump": "GET PUT DELETE PATCH OPTIONS", "/version/batch": "GET", "/version/migrate": "GET HEAD",
		"/version/registry": "POST PUT DELETE", "/version/history": "POST", "/version/receipts/1": "DELETE",
		"/version/health": "POST", "/cluster": "POST", "/livez": "POST", "/readyz": "DELETE",
		"/registries/tes-registry-v1/version/bump": "GET", "/registries/tes-registry-v1/version/registry": "PATCH",
	} {
		for method := range strings.FieldsSeq(methods) {
			list = append(list, refusal{name: method + " " + path, method: method, path: path, status: 405, code: client.CodeMethodNotAllowed})
		}
	}
	return list
}

func badReads() []refusal {
	get := func(path string, status int, code client.Code, paths ...string) refusal {
		return refusal{name: "GET " + path, method: "GET", path: path, status: status, code: code, paths: paths}
	}
	var list []refusal
	for _, c := range []struct{ path, param string }{
		{"/version/registry?x=1", "x"}, {"/version/registry?Type=global", "Type"}, {"/version/registry?type=nope", "type"},
		{"/version/registry?type=", "type"}, {"/version/registry?type=global&type=global", "type"}, {"/version/registry?parent=a%20b", "parent"},
		{"/version/registry?displayInUi=1", "displayInUi"}, {"/version/registry?displayInUi=TRUE", "displayInUi"}, {"/version/registry?displayInUi", "displayInUi"},
		{"/version/registry?limit=0", "limit"}, {"/version/registry?limit=1001", "limit"}, {"/version/registry?limit=-1", "limit"},
		{"/version/registry?limit=x", "limit"}, {"/version/registry?after=a%20b", "after"}, {"/version/registry?q=%ff", "q"},
		{"/version/registry?consistency=strong", "consistency"}, {"/version/registry?consistency=", "consistency"},
		{"/version/registry?max_stale=2", "max_stale"}, {"/version/registry?max_stale=-1s", "max_stale"}, {"/version/registry?max_stale=0s", "max_stale"},
		{"/version/registry?consistency=linearizable&max_stale=1s", "max_stale"}, {"/version/registry?min_revision=-1", "min_revision"},
		{"/version/registry?min_revision=x", "min_revision"}, {"/version/entities/global:main?limit=1", "limit"},
		{"/version/history?after=-1", "after"}, {"/version/history?after=1.5", "after"}, {"/version/history?after=01", "after"},
		{"/version/history?limit=1001", "limit"}, {"/version/history?limit=0", "limit"}, {"/version/history?last=0", "last"},
		{"/version/history?last=1001", "last"}, {"/version/history?last=1&after=1", "last"}, {"/version/history?last=1&limit=1", "last"},
		{"/version/history?entityId=", "entityId"}, {"/version/history?entityId=a//b", "entityId"}, {"/version/history?receipts=yes", "receipts"},
		{"/version/receipts/1?receipts=true", "receipts"}, {"/version/health?consistency=stale", "consistency"}, {"/cluster?x", "x"},
		{"/livez?verbose", "verbose"}, {"/readyz?x", "x"}, {"/readyz?verbose=1", "verbose"},
	} {
		list = append(list, get(c.path, 400, client.CodeInvalidRequest, "?"+c.param))
	}
	return append(list,
		get("/version/registry?a=%zz", 400, client.CodeInvalidRequest, "?"),
		get("/version/registry?limit=1;after=x", 400, client.CodeInvalidRequest, "?"),
		get("/version/registry?limit=0&type=x&z=1&a=1", 400, client.CodeInvalidRequest, "?type", "?limit", "?a", "?z"),
		get("/version/entities/nope", 404, client.CodeEntityNotFound),
		get("/version/entities/a%20b", 404, client.CodeEntityNotFound),
		get("/version/entities/@babel", 404, client.CodeEntityNotFound),
		get("/version/entities/a%2F%2Fb", 404, client.CodeEntityNotFound),
		get("/version/history?entityId=nope", 404, client.CodeEntityNotFound),
		get("/version/receipts/0", 404, client.CodeRevisionNotFound),
		get("/version/receipts/2", 404, client.CodeRevisionNotFound),
		get("/version/receipts/x", 404, client.CodeRevisionNotFound),
		get("/version/receipts/01", 404, client.CodeRevisionNotFound),
		get("/version/receipts/-1", 404, client.CodeRevisionNotFound),
		get("/version/receipts/99999999999999999999", 404, client.CodeRevisionNotFound),
		get("/registries/none/version/registry", 404, client.CodeRegistryNotFound),
		get("/registries/none/version/entities/a", 404, client.CodeRegistryNotFound),
		get("/registries/none/version/history", 404, client.CodeRegistryNotFound),
		get("/registries/none/version/receipts/1", 404, client.CodeRegistryNotFound),
		get("/registries/none/version/health", 404, client.CodeRegistryNotFound),
		get("/registries/-a/version/health", 404, client.CodeRegistryNotFound),
	)
}
