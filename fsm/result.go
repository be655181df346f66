package fsm

// Result is the answer to one command: a transaction, a success that changed
// nothing, or a refusal.
type Result struct {
	Registry    string
	Revision    uint64       // of the transaction; without one, of the registry at the time
	Transaction *Transaction // nil if nothing was committed
	Entities    []Entity     // as they are after each of the transaction's changes; bump, batch and put only
	Refusal     *Refusal     // nil if the command succeeded
	Replayed    bool         // the answer is that to an earlier command with the same key
}

// resultFormat is the first byte of an encoded result.
const resultFormat = 1

// EncodeResult appends a result in the binary form in which nodes pass it on. It is stored
// nowhere.
func EncodeResult(dst []byte, r *Result) []byte {
	e := encoder{dst}
	e.byte(resultFormat)
	e.string(r.Registry)
	e.uint(r.Revision)
	e.bool(r.Replayed)
	e.bool(r.Transaction != nil)
	if t := r.Transaction; t != nil {
		e.string(t.ClusterID)
		e.string(t.RegistryID)
		e.uint(t.Revision)
		e.string(t.ID)
		e.fixed(t.PreviousHash[:])
		e.fixed(t.Hash[:])
		t.encode(&e)
	}
	e.uint(uint64(len(r.Entities)))
	for i := range r.Entities {
		r.Entities[i].encode(&e)
	}
	e.bool(r.Refusal != nil)
	if r.Refusal != nil {
		r.Refusal.encodeWhole(&e)
	}
	return e.buf
}

// DecodeResult reads what [EncodeResult] wrote, and nothing else. The result shares memory
// with b, and its strings with each other.
func DecodeResult(b []byte) (Result, error) {
	d := decoder{buf: b, text: string(b)}
	if d.byte() != resultFormat {
		d.fail()
	}
	r := Result{Registry: d.string(), Revision: d.uint(), Replayed: d.bool()}
	if d.bool() {
		clusterID, registryID, revision, id := d.string(), d.string(), d.uint(), d.string()
		previous, hash := d.hash(), d.hash()
		var t Transaction
		t.decode(&d)
		t.ClusterID, t.RegistryID, t.Revision, t.ID, t.PreviousHash, t.Hash = clusterID, registryID, revision, id, previous, hash
		r.Transaction = &t
	}
	if n := d.count(); n > 0 {
		r.Entities = make([]Entity, 0, min(n, 1024))
		for range n {
			if r.Entities = append(r.Entities, decodeEntity(&d)); d.err != nil {
				break
			}
		}
	}
	if d.bool() {
		r.Refusal = decodeWholeRefusal(&d)
	}
	if err := d.finish(); err != nil {
		return Result{}, err
	}
	return r, nil
}

// encodeWhole writes all of a refusal.
func (r *Refusal) encodeWhole(e *encoder) {
	r.encode(e, true)
	e.string(r.Registry)
	e.string(r.Expected)
	e.uint(uint64(len(r.Problems)))
	for _, p := range r.Problems {
		e.string(p.Path)
		e.string(p.Message)
	}
}

func decodeWholeRefusal(d *decoder) *Refusal {
	r := decodeRefusal(d)
	r.Registry, r.Expected = d.string(), d.string()
	for range d.count() {
		if d.err != nil {
			break
		}
		r.Problems = append(r.Problems, Problem{Path: d.string(), Message: d.string()})
	}
	return r
}
