package intake

import (
	"bytes"
	"fmt"

	"github.com/tesd/tesd/fsm"
)

// Bump reads the body of a bump: what it asks for, with the defaults filled in, and
// whether only to plan it. ok is false if the body is no object, and then there is
// nothing more to find wrong with it.
func Bump(body []byte, f *Faults) (op fsm.Op, dryRun, ok bool) {
	var b bumpBody
	if !decode(body, "", &b, f) {
		return nil, false, false
	}
	return b.bump(fields{f, func() string { return "" }}), optional(b.DryRun), true
}

// Batch reads the body of a batch as [Bump] reads that of a bump.
func Batch(body []byte, f *Faults) (op fsm.Op, dryRun, ok bool) {
	var b batchBody
	if !decode(body, "", &b, f) {
		return nil, false, false
	}
	return b.Requests.batch(f), optional(b.DryRun), true
}

// BatchFile reads a file of bumps: the body of a batch, or its bare array of requests.
func BatchFile(text []byte, f *Faults) (op fsm.Op, dryRun, ok bool) {
	if !IsArray(text) {
		return Batch(text, f)
	}
	var list requests
	if !decode(text, "requests", &list, f) {
		return nil, false, false
	}
	return list.batch(f), false, true
}

// Migrate reads the body of a migrate.
func Migrate(body []byte, f *Faults) (op fsm.Op, dryRun, ok bool) {
	var b migrateBody
	if !decode(body, "", &b, f) {
		return nil, false, false
	}
	entities := b.Entities.read(f, nil)
	source := required(fields{f, func() string { return "" }}, "source", b.Source)
	return fsm.Migrate{Source: source, Entities: entities}, false, true
}

// Put reads the body of a put: one entity, whose version may be absent.
func Put(body []byte, f *Faults) (op fsm.Put, ok bool) {
	var b entityBody
	if !decode(body, "", &b, f) {
		return fsm.Put{}, false
	}
	fs := fields{f, func() string { return "" }}
	fs.nonEmpty("currentVersion", b.CurrentVersion)
	return fsm.Put{Entity: b.entity(fs)}, true
}

// RegistryFile reads the entities of a registry file, a bare array or an object with
// "entities" such as an export, and checks their shape. If there are faults, the
// entities are not to be used.
func RegistryFile(text []byte, f *Faults) []fsm.Entity {
	var b registryFile
	ok := false
	if IsArray(text) {
		ok = decode(text, "entities", &b.Entities, f)
	} else {
		ok = decode(text, "", &b, f)
	}
	if !ok {
		return nil
	}
	if b.Next != nil {
		f.Add("next", "says that there are more entities: this is a page, not the registry")
		return nil
	}
	return b.Entities.read(f, func(at string, e *fsm.Entity) {
		for _, p := range e.Check() {
			f.Add(at+p.Path, "%s", p.Message)
		}
	})
}

// IsArray reports whether a JSON text is that of an array.
func IsArray(text []byte) bool {
	return bytes.HasPrefix(bytes.TrimLeft(text, " \t\r\n"), []byte("["))
}

func (l requests) batch(f *Faults) fsm.Batch {
	if l == nil {
		f.Add("requests", "is required")
	}
	op := fsm.Batch{Requests: make([]fsm.Bump, len(l))}
	for i := range l {
		if l[i].DryRun != nil {
			f.Add(fmt.Sprintf("requests[%d].dryRun", i), "belongs to the batch as a whole")
		}
		op.Requests[i] = l[i].bump(fields{f, func() string { return fmt.Sprintf("requests[%d].", i) }})
	}
	return op
}

// read returns the entities, each with a version, and calls check with each of them and
// its path, unless check is nil.
func (l entities) read(f *Faults, check func(at string, e *fsm.Entity)) []fsm.Entity {
	if l == nil {
		f.Add("entities", "is required")
	}
	list := make([]fsm.Entity, len(l))
	for i := range l {
		fs := fields{f, func() string { return fmt.Sprintf("entities[%d].", i) }}
		list[i] = l[i].entity(fs)
		list[i].CurrentVersion = required(fs, "currentVersion", l[i].CurrentVersion)
		if check != nil && !f.Full() {
			check(fs.at(), &list[i])
		}
	}
	return list
}
