package intake

import (
	"fmt"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/tesd/tesd/fsm"
)

// The forms in which requests come in. Pointers and nil slices tell what is absent from what is
// given; what is given as "" is refused where absent has a meaning of its own.

// bumpItem is one request of a batch.
type bumpItem struct {
	Scope           *string `json:"scope"`
	EntityID        *string `json:"entityId"`
	Cascade         *bool   `json:"cascade"`
	ExpectedVersion *string `json:"expectedVersion"`
	Reason          *string `json:"reason"`
	DryRun          *bool   `json:"dryRun"` // of a bump alone; of a batch it is the batch's
}

type bumpBody struct {
	bumpItem
}

type batchBody struct {
	Requests requests `json:"requests"`
	DryRun   *bool    `json:"dryRun"`
}

type migrateBody struct {
	Source   *string  `json:"source"`
	Entities entities `json:"entities"`
}

// registryFile is what export writes, or a node answers for a registry; only the entities count.
type registryFile struct {
	RegistryID *string  `json:"registryId"`
	Revision   *uint64  `json:"revision"`
	Entities   entities `json:"entities"`
	Lifecycle  *string  `json:"lifecycle"`
	HSL        *string  `json:"hsl"`
	Next       *string  `json:"next"`
}

type entityBody struct {
	ID                *string `json:"id"`
	Type              *string `json:"type"`
	CurrentVersion    *string `json:"currentVersion"`
	UpdateStrategy    *string `json:"updateStrategy"`
	ParentVersionID   *string `json:"parentVersionId"`
	Files             files   `json:"files"`
	DisplayInUI       *bool   `json:"displayInUi"`
	DisplayName       *string `json:"displayName"`
	Description       *string `json:"description"`
	APIEndpointPrefix *string `json:"apiEndpointPrefix"`
	CLICommandName    *string `json:"cliCommandName"`
}

type fileBody struct {
	Path           *string `json:"path"`
	Pattern        *string `json:"pattern"`
	Replacement    *string `json:"replacement"`
	Description    *string `json:"description"`
	DefaultVersion *string `json:"defaultVersion"`
	Required       *bool   `json:"required"`
}

// The arrays are read up to the limit of what they hold, so that a body cannot make
// much memory out of little: three bytes are an empty entity.
type (
	requests []bumpItem
	entities []entityBody
	files    []fileBody
)

func (requests) most() int { return fsm.MaxBatch }
func (entities) most() int { return fsm.MaxEntities }
func (files) most() int    { return fsm.MaxFiles }

// UnmarshalJSONFrom reads the requests of a batch, up to the limit.
func (l *requests) UnmarshalJSONFrom(dec *jsontext.Decoder) (err error) {
	*l, err = readList[bumpItem](dec, l.most())
	return err
}

// UnmarshalJSONFrom reads the entities of a registry, up to the limit.
func (l *entities) UnmarshalJSONFrom(dec *jsontext.Decoder) (err error) {
	*l, err = readList[entityBody](dec, l.most())
	return err
}

// UnmarshalJSONFrom reads the files of an entity, up to the limit.
func (l *files) UnmarshalJSONFrom(dec *jsontext.Decoder) (err error) {
	*l, err = readList[fileBody](dec, l.most())
	return err
}

// fields reads the members of one object, which lies at a place of the body.
type fields struct {
	f  *Faults
	at func() string // the place's path, to put before a member's name; called for faults only
}

// fault notes what is wrong with a member.
func (fs fields) fault(name, message string) {
	path := ""
	if !fs.f.Full() { // else it would be lost, and to make it costs more than to read the member
		path = fs.at() + name
	}
	fs.f.Add(path, "%s", message)
}

// required returns a member that must be there.
func required[T any](fs fields, name string, value *T) T {
	if value == nil {
		fs.fault(name, "is required")
		return *new(T)
	}
	return *value
}

// optional returns a member that may be absent, its zero value if it is.
func optional[T any](value *T) T {
	if value == nil {
		return *new(T)
	}
	return *value
}

// nonEmpty returns a text that is either absent or says something.
func (fs fields) nonEmpty(name string, value *string) string {
	if value != nil && *value == "" {
		fs.fault(name, "is empty; leave it out instead")
	}
	return optional(value)
}

func (b *bumpItem) bump(fs fields) fsm.Bump {
	scope, _ := fsm.ParseScope(required(fs, "scope", b.Scope)) // the command's check tells if it is none
	return fsm.Bump{
		Scope:           scope,
		EntityID:        fs.nonEmpty("entityId", b.EntityID),
		Cascade:         b.Cascade == nil || *b.Cascade,
		ExpectedVersion: fs.nonEmpty("expectedVersion", b.ExpectedVersion),
		Reason:          fs.nonEmpty("reason", b.Reason),
	}
}

// entity returns the entity, whose version may be absent.
func (b *entityBody) entity(fs fields) fsm.Entity {
	if b.Files == nil {
		fs.fault("files", "is required")
	}
	e := fsm.Entity{
		ID:                required(fs, "id", b.ID),
		Type:              fsm.EntityType(required(fs, "type", b.Type)),
		CurrentVersion:    optional(b.CurrentVersion),
		UpdateStrategy:    fsm.Strategy(required(fs, "updateStrategy", b.UpdateStrategy)),
		ParentVersionID:   fs.nonEmpty("parentVersionId", b.ParentVersionID),
		DisplayInUI:       required(fs, "displayInUi", b.DisplayInUI),
		DisplayName:       required(fs, "displayName", b.DisplayName),
		Description:       optional(b.Description),
		APIEndpointPrefix: optional(b.APIEndpointPrefix),
		CLICommandName:    optional(b.CLICommandName),
	}
	if len(b.Files) > 0 {
		e.Files = make([]fsm.File, len(b.Files))
	}
	for i := range b.Files {
		e.Files[i] = b.Files[i].file(fields{fs.f, func() string { return fmt.Sprintf("%sfiles[%d].", fs.at(), i) }})
	}
	return e
}

func (b *fileBody) file(fs fields) fsm.File {
	return fsm.File{
		Path:           required(fs, "path", b.Path),
		Pattern:        required(fs, "pattern", b.Pattern),
		Replacement:    required(fs, "replacement", b.Replacement),
		Description:    required(fs, "description", b.Description),
		DefaultVersion: optional(b.DefaultVersion),
		Required:       optional(b.Required),
	}
}

type nodeBody struct {
	ID      *string `json:"id"`
	Address *string `json:"address"`
	Replace *bool   `json:"replace"`
}

type transferBody struct {
	To *string `json:"to"`
}
