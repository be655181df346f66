package fsm

import "fmt"

// EncodeCommand appends a command in the binary form that entries hold and nodes
// forward: kind, registry, actor, key, precondition, and the operation's own fields.
func EncodeCommand(dst []byte, c Command) []byte {
	e := encoder{dst}
	if dst == nil {
		e.buf = make([]byte, 0, 64+len(c.Registry)+len(c.Actor)+len(c.Key)) // which most bumps fit in
	}
	e.byte(byte(c.Kind()))
	e.string(c.Registry)
	e.string(c.Actor)
	e.string(c.Key)
	e.bool(c.IfMatch != nil)
	if c.IfMatch != nil {
		e.uint(*c.IfMatch)
	}
	c.Op.encode(&e)
	return e.buf
}

// DecodeCommand reads what [EncodeCommand] wrote, and nothing else: each command
// has one encoding. An unknown kind is [ErrNewerFormat].
func DecodeCommand(b []byte) (Command, error) {
	d := decoder{buf: b}
	kind := Kind(d.byte())
	if kind == KindBump { // of which nothing is kept but with recent transactions
		d.text = string(b)
	}
	c := Command{Registry: d.string(), Actor: d.string(), Key: d.string()}
	if d.bool() {
		revision := d.uint()
		c.IfMatch = &revision
	}
	switch kind {
	case KindBump:
		c.Op = decodeBump(&d)
	case KindBatch:
		batch := Batch{Requests: make([]Bump, d.countTo(MaxBatch))}
		for i := range batch.Requests {
			batch.Requests[i] = decodeBump(&d)
		}
		c.Op = batch
	case KindMigrate:
		m := Migrate{Source: d.string(), Entities: make([]Entity, 0, d.countTo(MaxEntities))}
		for range cap(m.Entities) {
			m.Entities = append(m.Entities, decodeEntity(&d))
		}
		c.Op = m
	case KindPut:
		c.Op = Put{CreateOnly: d.bool(), Entity: decodeEntity(&d)}
	case KindDelete:
		c.Op = Delete{EntityID: d.string()}
	case kindGenesis:
		c.Op = Genesis{ClusterID: d.string(), RegistryID: d.string(), KeyID: d.string(), Key: nonEmpty(d.bytes()), HistoryKeep: d.uint()}
	case kindLead:
		c.Op = Lead{Node: d.string(), Term: d.uint()}
	default:
		if len(b) > 0 {
			return Command{}, fmt.Errorf("command type %d: %w", kind, ErrNewerFormat)
		}
	}
	if err := d.finish(); err != nil {
		return Command{}, fmt.Errorf("decoding a %v command: %w", kind, err)
	}
	return c, nil
}

func nonEmpty(b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	return append([]byte(nil), b...)
}

func (b Bump) encode(e *encoder) {
	e.byte(byte(b.Scope))
	e.bool(b.Cascade)
	e.string(b.EntityID)
	e.string(b.ExpectedVersion)
	e.string(b.Reason)
}

func decodeBump(d *decoder) Bump {
	return Bump{Scope: Scope(d.byte()), Cascade: d.bool(), EntityID: d.string(), ExpectedVersion: d.string(), Reason: d.string()}
}

func (b Batch) encode(e *encoder) {
	e.uint(uint64(len(b.Requests)))
	for _, r := range b.Requests {
		r.encode(e)
	}
}

func (m Migrate) encode(e *encoder) {
	e.string(m.Source)
	e.uint(uint64(len(m.Entities)))
	for i := range m.Entities {
		m.Entities[i].encode(e)
	}
}

func (p Put) encode(e *encoder) {
	e.bool(p.CreateOnly)
	p.Entity.encode(e)
}

func (d Delete) encode(e *encoder) { e.string(d.EntityID) }

func (g Genesis) encode(e *encoder) {
	e.string(g.ClusterID)
	e.string(g.RegistryID)
	e.string(g.KeyID)
	e.bytes(g.Key)
	e.uint(g.HistoryKeep)
}

func (l Lead) encode(e *encoder) {
	e.string(l.Node)
	e.uint(l.Term)
}

func (x *Entity) encode(e *encoder) {
	e.string(x.ID)
	e.string(string(x.Type))
	e.string(x.CurrentVersion)
	e.string(string(x.UpdateStrategy))
	e.string(x.ParentVersionID)
	e.bool(x.DisplayInUI)
	e.string(x.DisplayName)
	e.string(x.Description)
	e.string(x.APIEndpointPrefix)
	e.string(x.CLICommandName)
	e.uint(uint64(len(x.Files)))
	for i := range x.Files {
		f := &x.Files[i]
		e.string(f.Path)
		e.string(f.Pattern)
		e.string(f.Replacement)
		e.string(f.Description)
		e.string(f.DefaultVersion)
		e.bool(f.Required)
	}
}

func decodeEntity(d *decoder) Entity {
	x := Entity{
		ID: d.string(), Type: EntityType(d.string()), CurrentVersion: d.string(), UpdateStrategy: Strategy(d.string()),
		ParentVersionID: d.string(), DisplayInUI: d.bool(), DisplayName: d.string(), Description: d.string(),
		APIEndpointPrefix: d.string(), CLICommandName: d.string(),
	}
	if n := d.countTo(MaxFiles); n > 0 {
		x.Files = make([]File, n)
		for i := range x.Files {
			x.Files[i] = File{Path: d.string(), Pattern: d.string(), Replacement: d.string(), Description: d.string(),
				DefaultVersion: d.string(), Required: d.bool()}
		}
	}
	return x
}

// malformed stands for a command whose frame was whole but whose body was not.
type malformed struct{}

func (malformed) kind() Kind                      { return 0 }
func (malformed) check(*checker)                  {}
func (malformed) appendRequest(dst []byte) []byte { return dst }
func (malformed) encode(*encoder)                 {}
