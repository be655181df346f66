package fsm_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tesd/tesd/fsm"
)

func decimal(n uint64) string { return strconv.FormatUint(n, 10) }

// modelJSON is RFC 8785 as far as encoding/json can be talked into it: maps come out
// sorted, and numbers here are small integers.
func modelJSON(v any) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err)
	}
	// What encoding/json escapes for the sake of JavaScript, RFC 8785 does not. No
	// text of these tests holds such an escape by itself.
	return strings.NewReplacer(`\u2028`, "\u2028", `\u2029`, "\u2029", "\n", "").Replace(b.String())
}

type jsonObject = map[string]any

// without drops the members that stand for absent fields.
func without(o jsonObject, absent any, names ...string) jsonObject {
	for _, name := range names {
		if o[name] == absent {
			delete(o, name)
		}
	}
	return o
}

func entityObject(e fsm.Entity) jsonObject {
	files := []any{}
	for _, f := range e.Files {
		o := jsonObject{"path": f.Path, "pattern": f.Pattern, "replacement": f.Replacement, "description": f.Description,
			"defaultVersion": f.DefaultVersion, "required": f.Required}
		files = append(files, without(without(o, "", "defaultVersion"), false, "required"))
	}
	return without(jsonObject{"id": e.ID, "type": e.Type, "currentVersion": e.CurrentVersion, "updateStrategy": e.UpdateStrategy,
		"parentVersionId": e.ParentVersionID, "files": files, "displayInUi": e.DisplayInUI, "displayName": e.DisplayName,
		"description": e.Description, "apiEndpointPrefix": e.APIEndpointPrefix, "cliCommandName": e.CLICommandName},
		"", "currentVersion", "parentVersionId", "description", "apiEndpointPrefix", "cliCommandName")
}

func bumpObject(b fsm.Bump) jsonObject {
	return without(jsonObject{"scope": b.Scope.String(), "entityId": b.EntityID, "cascade": b.Cascade,
		"expectedVersion": b.ExpectedVersion, "reason": b.Reason}, "", "entityId", "expectedVersion", "reason")
}

// requestObject is the request in normal form.
func requestObject(op fsm.Op) jsonObject {
	switch op := op.(type) {
	case fsm.Bump:
		o := bumpObject(op)
		o["dryRun"] = false
		return o
	case fsm.Batch:
		requests := []any{}
		for _, b := range op.Requests {
			requests = append(requests, bumpObject(b))
		}
		return jsonObject{"requests": requests, "dryRun": false}
	case fsm.Put:
		return entityObject(op.Entity)
	case fsm.Delete:
		return jsonObject{"entityId": op.EntityID}
	case fsm.Migrate:
		entities := []any{}
		for _, e := range op.Entities {
			entities = append(entities, entityObject(e))
		}
		sum := sha256.Sum256([]byte(modelJSON(entities)))
		return jsonObject{"source": op.Source, "count": len(op.Entities), "sha256": hex.EncodeToString(sum[:])}
	}
	panic("no such operation")
}

// modelIdentity is what makes two requests the same under an idempotency key.
func modelIdentity(c fsm.Command) string {
	ifMatch := "none"
	if c.IfMatch != nil {
		ifMatch = decimal(*c.IfMatch)
	}
	put, _ := c.Op.(fsm.Put)
	return fmt.Sprintf("%T %s %s %v %s", c.Op, c.Registry, ifMatch, put.CreateOnly, modelJSON(requestObject(c.Op)))
}

// record writes the payload of a transaction and chains it to the one before.
func (m *model) record(c fsm.Command, r *modelRegistry, o outcome) modelTransaction {
	previous := strings.Repeat("0", 64)
	if len(r.log) > 0 {
		previous = r.log[len(r.log)-1].hash
	}
	changes := []any{}
	for _, c := range o.Changes {
		change := jsonObject{"entityId": c.EntityID, "displayName": c.DisplayName, "oldVersion": nil, "newVersion": nil}
		if c.OldVersion != "" {
			change["oldVersion"] = c.OldVersion
		}
		if c.NewVersion != "" {
			change["newVersion"] = c.NewVersion
		}
		changes = append(changes, change)
	}
	payload := modelJSON(jsonObject{
		"clusterId": m.cluster.ClusterID, "registryId": c.Registry, "revision": o.Revision, "kind": o.Kind,
		"transactionId": modelTransactionID(m.cluster.ClusterID, c.Registry, o.Revision), "timestamp": o.Timestamp,
		"actor": o.Actor, "request": requestObject(c.Op), "changes": changes, "previousHash": previous,
	})
	sum := sha256.Sum256([]byte(payload))
	return modelTransaction{o, payload, hex.EncodeToString(sum[:])}
}

// modelTransactionID is a UUID of version 8 over what identifies a transaction.
func modelTransactionID(cluster, registry string, revision uint64) string {
	sum := sha256.Sum256([]byte(cluster + "\x00" + registry + "\x00" + decimal(revision)))
	sum[6], sum[8] = sum[6]%16+0x80, sum[8]%64+0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", sum[0:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16])
}

var (
	modelRegistryID = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)
	modelEntityID   = regexp.MustCompile(`^[A-Za-z0-9@:._~+/-]{1,256}$`)
	modelKeyShape   = regexp.MustCompile(`^[ -~]{1,255}$`)
)

func modelIDInShape(id string) bool {
	for part := range strings.SplitSeq(id, "/") {
		if part == "" || part == "." || part == ".." {
			return false
		}
	}
	return modelEntityID.MatchString(id)
}

func modelEntityInShape(e fsm.Entity) bool {
	return modelIDInShape(e.ID) && (e.ParentVersionID == "" || modelIDInShape(e.ParentVersionID)) &&
		utf8.ValidString(e.DisplayName)
}

func modelBumpInShape(b fsm.Bump) bool {
	if b.EntityID == "" && (b.ExpectedVersion != "" || !b.Cascade) {
		return false
	}
	return b.Scope.String() != "scope(0)" && (b.EntityID == "" || modelIDInShape(b.EntityID))
}

// modelInShape holds a command to the rules of shape that the generator breaks.
func modelInShape(c fsm.Command) bool {
	if !modelRegistryID.MatchString(c.Registry) || c.Key != "" && !modelKeyShape.MatchString(c.Key) || !utf8.ValidString(c.Actor) {
		return false
	}
	switch op := c.Op.(type) {
	case fsm.Bump:
		return modelBumpInShape(op)
	case fsm.Batch:
		for _, b := range op.Requests {
			if !modelBumpInShape(b) {
				return false
			}
		}
		return len(op.Requests) > 0
	case fsm.Put:
		return modelEntityInShape(op.Entity)
	case fsm.Delete:
		return modelIDInShape(op.EntityID)
	case fsm.Migrate:
		for _, e := range op.Entities {
			if !modelEntityInShape(e) {
				return false
			}
		}
	}
	return true
}
