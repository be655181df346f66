package httpapi

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/tesd/tesd/client"
	"github.com/tesd/tesd/fsm"
	"github.com/tesd/tesd/internal/intake"
)

// Limits of a body, in bytes.
const (
	maxBody        = 1 << 20
	maxMigrateBody = 64 << 20
)

// anonymous is the actor of a request that nobody had to sign.
const anonymous = "anonymous"

// reader reads the body of a write: what it asks for, with the defaults filled in, and
// whether only to plan it. ok is false if nothing more can be found wrong.
type reader func(body []byte, f *intake.Faults) (op fsm.Op, dryRun, ok bool)

// command reads a write, and refuses it with all its faults.
func (c *call) command(read reader, limit int64) (cmd fsm.Command, dryRun bool, err error) {
	raw, err := c.readBody(limit)
	if err != nil {
		return fsm.Command{}, false, err
	}
	var f intake.Faults
	cmd = c.conditions(&f)
	op, dryRun, ok := read(raw, &f)
	if !ok {
		return fsm.Command{}, false, faulty(&f)
	}
	cmd.Op = op
	if !f.Full() {
		for _, p := range cmd.Check() {
			f.Add(p.Path, "%s", p.Message)
		}
	}
	c.entityID = cmd.EntityID()
	return cmd, dryRun, faulty(&f)
}

// conditions reads what a write says besides its body: under which key it is applied
// once, and at which revision. The command that it returns has no operation yet.
func (c *call) conditions(f *intake.Faults) fsm.Command {
	newQuery(c.r.URL.RawQuery, f).finish()
	return fsm.Command{Registry: c.registry, Actor: anonymous, Key: c.idempotencyKey(f), IfMatch: c.ifMatch(f)}
}

// readBody returns the body of a write, which is JSON by its own account and no
// larger than limit.
func (c *call) readBody(limit int64) ([]byte, error) {
	if err := checkContentType(c.r.Header); err != nil {
		return nil, err
	}
	tooLarge := func() error {
		return &failure{code: client.CodePayloadTooLarge, message: fmt.Sprintf("the body exceeds the limit of %d bytes", limit)}
	}
	if c.r.ContentLength > limit {
		return nil, tooLarge()
	}
	pace := http.NewResponseController(c.w)
	pace.SetReadDeadline(time.Now().Add(bodyTimeout(limit))) // what cannot be timed is a test's
	var raw []byte
	var err error
	if n := c.r.ContentLength; n >= 0 && n <= maxBody { // no more on a caller's mere word
		raw = make([]byte, n)
		_, err = io.ReadFull(c.r.Body, raw)
	} else {
		raw, err = io.ReadAll(http.MaxBytesReader(c.w, c.r.Body, limit))
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, tooLarge()
	} else if err != nil {
		return nil, &failure{code: client.CodeInvalidRequest, message: "the body could not be read to its end in time"}
	}
	pace.SetReadDeadline(time.Time{}) // not after a failure: then the connection is read to the deadline, and closed
	return raw, nil
}

// bodyTimeout is how long a body of at most limit bytes may take to arrive: as long as the
// request that it asks for, and a second for each further mebibyte.
func bodyTimeout(limit int64) time.Duration {
	return requestTimeout + time.Duration((limit-maxBody)>>20)*time.Second
}

// noBody notes a body where there is to be none.
func (c *call) noBody(f *intake.Faults) {
	if c.r.ContentLength != 0 {
		f.Add("", "must be empty")
	}
}

// checkContentType refuses a body that does not call itself JSON in UTF-8.
func checkContentType(h http.Header) error {
	unsupported := func(message string) error {
		return &failure{code: client.CodeUnsupportedMediaType, message: message}
	}
	values := h["Content-Type"]
	if len(values) != 1 {
		return unsupported("a body needs one Content-Type: application/json")
	}
	if len(h["Content-Encoding"]) > 0 {
		return unsupported("a body must not have a Content-Encoding")
	}
	if values[0] == "application/json" { // as nearly all say
		return nil
	}
	media, params, err := mime.ParseMediaType(values[0])
	switch charset, given := params["charset"]; {
	case err != nil || media != "application/json":
		return unsupported("a body needs the Content-Type application/json")
	case given && !strings.EqualFold(charset, "utf-8"):
		return unsupported("a body needs the charset utf-8")
	}
	return nil
}

// header returns the value of a header that may be given once.
func (c *call) header(name string, f *intake.Faults) (value string, given bool) {
	values := c.r.Header[name]
	if len(values) == 0 {
		return "", false
	}
	if len(values) > 1 {
		f.Add(name, "is given more than once")
		return "", false
	}
	return values[0], true
}

func (c *call) idempotencyKey(f *intake.Faults) string {
	key, given := c.header("Idempotency-Key", f)
	if !given {
		return ""
	}
	if err := fsm.CheckKey(key); err != nil {
		f.Add("Idempotency-Key", "%v", err)
		return ""
	}
	return key
}

// ifMatch returns the revision that a write asks for, nil for any.
func (c *call) ifMatch(f *intake.Faults) *uint64 {
	tag, given := c.header("If-Match", f)
	if !given {
		return nil
	}
	digits, opened := strings.CutPrefix(tag, `"`)
	digits, closed := strings.CutSuffix(digits, `"`)
	revision, ok := parseRevision(digits)
	if !opened || !closed || !ok {
		f.Add("If-Match", `must be one revision in quotes, such as "12"`)
		return nil
	}
	return &revision
}

// notModified is the answer to a read of what the caller has already.
func notModified() *answer { return &answer{status: http.StatusNotModified} }

// ifNoneMatch reports whether the caller has the state of this revision already. A
// list that cannot be read matches nothing: then the caller gets what it has.
func (c *call) ifNoneMatch(revision uint64) bool {
	want := `"` + strconv.FormatUint(revision, 10) + `"`
	for _, list := range c.r.Header["If-None-Match"] {
		for tag := range strings.SplitSeq(list, ",") {
			tag = strings.TrimSpace(tag)
			if tag == "*" || strings.TrimPrefix(tag, "W/") == want {
				return true
			}
		}
	}
	return false
}

// parseRevision reads a decimal number that is written in the one usual way.
func parseRevision(s string) (revision uint64, ok bool) {
	revision, err := strconv.ParseUint(s, 10, 64)
	return revision, err == nil && strconv.FormatUint(revision, 10) == s
}

// faulty returns the failure of a request with faults, nil if there are none. Their
// paths are those of the body, the name of a header, or a query parameter behind a "?".
func faulty(f *intake.Faults) error {
	list := f.List()
	if len(list) == 0 {
		return nil
	}
	message := list[0].Path + ": " + list[0].Message
	if list[0].Path == "" {
		message = "the body " + list[0].Message
	}
	if len(list) > 1 {
		message += "; there are more faults, see details"
	}
	details := make([]client.Detail, len(list))
	for i, p := range list {
		details[i] = client.Detail(p)
	}
	return &failure{code: client.CodeInvalidRequest, message: message, details: details}
}
