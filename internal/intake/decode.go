package intake

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// maxDepth is how deep the values of a body may be nested.
const maxDepth = 32

// decode reads a text strictly into the struct or list that v points to, and notes
// every fault of it; at is the path of v. It reports whether the text is a JSON object, or
// an array for a list, at all: then v holds what could be read, so that the rest can be
// checked and all faults be told at once.
//
// Nearly all texts are sound and are read in one step. That step accepts too much in
// one way, null, so a text that may hold one is inspected too. It need not watch the
// depth: a type of finite depth accepts nothing deeper.
func decode[T any](body []byte, at string, v *T, f *Faults) (readable bool) {
	if len(bytes.TrimSpace(body)) == 0 {
		f.Add(at, "is empty")
		return false
	}
	err := json.Unmarshal(body, v, json.RejectUnknownMembers(true))
	if err == nil && !bytes.Contains(body, []byte("null")) {
		return true
	}
	var found Faults
	*v = *new(T)
	readable = inspect(body, at, reflect.ValueOf(v).Elem(), &found)
	if err != nil && len(found.list) == 0 { // the two readings differ, so the stricter one counts
		found.Add(at, "cannot be read: %v", err)
	}
	for _, d := range found.list {
		f.Add(d.Path, "%s", d.Message)
	}
	f.more = f.more || found.more
	return readable
}

// inspect reads a text into v as decode does, but goes on after a fault. Of a text
// that is not JSON, only that is told.
func inspect(body []byte, at string, v reflect.Value, f *Faults) (readable bool) {
	in := inspector{
		dec: jsontext.NewDecoder(bytes.NewReader(body), jsontext.AllowDuplicateNames(true)),
		f:   f, path: []byte(at), fields: make(map[reflect.Type]map[string][]int),
	}
	kind := in.dec.PeekKind()
	fits := kind == '{' && v.Kind() == reflect.Struct || kind == '[' && v.Kind() == reflect.Slice
	err := in.value(v)
	if err == nil {
		if _, err = in.dec.ReadToken(); err == nil {
			err = errors.New("there is more after the value")
		} else if errors.Is(err, io.EOF) {
			return fits
		}
	}
	offset := in.dec.InputOffset()
	if s, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		offset, err = s.ByteOffset, s.Err
	}
	*f = Faults{}
	f.Add(string(in.path), "is not valid JSON at byte %d: %v", offset, err)
	return false
}

// inspector reads one text.
type inspector struct {
	dec    *jsontext.Decoder
	f      *Faults
	path   []byte // of the value being read
	fields map[reflect.Type]map[string][]int
}

// value reads the next value into v. Its error is one of syntax, after which nothing
// can be read.
func (in *inspector) value(v reflect.Value) error {
	if v.Kind() == reflect.Pointer {
		target := reflect.New(v.Type().Elem())
		before := len(in.f.list)
		if err := in.value(target.Elem()); err != nil {
			return err
		}
		if len(in.f.list) == before {
			v.Set(target)
		}
		return nil
	}
	want, got := "", in.dec.PeekKind()
	switch v.Kind() {
	case reflect.String:
		if got == '"' {
			token, err := in.dec.ReadToken()
			v.SetString(token.String())
			return err
		}
		want = "a string"
	case reflect.Bool:
		if got == 't' || got == 'f' {
			token, err := in.dec.ReadToken()
			v.SetBool(err == nil && token.Bool())
			return err
		}
		want = "true or false"
	case reflect.Slice:
		if got == '[' {
			return in.array(v)
		}
		want = "an array"
	case reflect.Struct:
		if got == '{' {
			return in.object(v)
		}
		want = "an object"
	case reflect.Uint64:
		if got == '0' {
			return in.number(v)
		}
		want = "a whole number"
	default:
		panic("intake: bodies have no fields of type " + v.Type().String())
	}
	if got == 'n' {
		return in.refuse("must not be null")
	}
	return in.refuse("must be " + want + ", not " + kindName(got))
}

// number reads a whole number.
func (in *inspector) number(v reflect.Value) error {
	token, err := in.dec.ReadToken()
	if err != nil {
		return err
	}
	n, err := strconv.ParseUint(token.String(), 10, 64)
	if err != nil {
		in.f.Add(string(in.path), "must be a whole number from 0 to 18446744073709551615")
		return nil
	}
	v.SetUint(n)
	return nil
}

// limited is an array with a limit of its own.
type limited interface{ most() int }

var errTooMany = errors.New("too many elements")

// readList reads an array of no more than most elements, in the fast way.
func readList[T any](dec *jsontext.Decoder, most int) ([]T, error) {
	if kind := dec.PeekKind(); kind != '[' {
		return nil, fmt.Errorf("must be an array, not %s", kindName(kind))
	}
	if _, err := dec.ReadToken(); err != nil {
		return nil, err
	}
	list := []T{}
	for dec.PeekKind() != ']' {
		if len(list) == most {
			return nil, errTooMany
		}
		list = append(list, *new(T))
		if err := json.UnmarshalDecode(dec, &list[len(list)-1]); err != nil {
			return nil, err
		}
	}
	_, err := dec.ReadToken()
	return list, err
}

func (in *inspector) array(v reflect.Value) error {
	if _, err := in.dec.ReadToken(); err != nil {
		return err
	}
	list := reflect.MakeSlice(v.Type(), 0, 0)
	most := v.Interface().(limited).most()
	tooMany := fmt.Sprintf("has more than %d elements", most)
	end := len(in.path)
	for i := 0; in.more(); i++ {
		if i >= most {
			if err := in.refuse(tooMany); err != nil {
				return err
			}
			continue
		}
		in.path = append(strconv.AppendInt(append(in.path, '['), int64(i), 10), ']')
		element := reflect.New(v.Type().Elem()).Elem()
		if err := in.value(element); err != nil {
			return err
		}
		list = reflect.Append(list, element) // also a faulty one, so that the next keep their places
		in.path = in.path[:end]
	}
	v.Set(list)
	_, err := in.dec.ReadToken()
	return err
}

func (in *inspector) object(v reflect.Value) error {
	if _, err := in.dec.ReadToken(); err != nil {
		return err
	}
	fields := in.fieldsOf(v.Type())
	seen := make(map[string]bool)
	end := len(in.path)
	for in.more() {
		token, err := in.dec.ReadToken()
		if err != nil {
			return err
		}
		name := token.String()
		in.path = appendName(in.path, name)
		index, known := fields[name]
		switch {
		case seen[name]:
			err = in.refuse("is given more than once")
		case !known:
			err = in.refuse("is not a known field")
		default:
			err = in.value(v.FieldByIndex(index))
		}
		if err != nil {
			return err
		}
		seen[name] = true
		in.path = in.path[:end]
	}
	_, err := in.dec.ReadToken()
	return err
}

// more reports whether the array or object being read goes on.
func (in *inspector) more() bool {
	kind := in.dec.PeekKind()
	return kind != ']' && kind != '}' // an error shows when the value is read
}

// refuse passes over a value that has no place, and notes why.
func (in *inspector) refuse(why string) error {
	outside := in.dec.StackDepth()
	for {
		if _, err := in.dec.ReadToken(); err != nil {
			return err
		}
		depth := in.dec.StackDepth()
		if depth > maxDepth {
			why = fmt.Sprintf("is nested deeper than %d", maxDepth)
		}
		if depth <= outside {
			in.f.Add(string(in.path), "%s", why)
			return nil
		}
	}
}

// fieldsOf returns where the members of an object go, by their names.
func (in *inspector) fieldsOf(t reflect.Type) map[string][]int {
	fields, ok := in.fields[t]
	if !ok {
		fields = make(map[string][]int)
		for _, field := range reflect.VisibleFields(t) {
			if name := field.Tag.Get("json"); name != "" {
				fields[name] = field.Index
			}
		}
		in.fields[t] = fields
	}
	return fields
}

// maxName is how many bytes of an unknown name are told.
const maxName = 64

// Shorten cuts a name that a caller made up to a length that is worth telling.
func Shorten(name string) string {
	if len(name) <= maxName {
		return name
	}
	return strings.ToValidUTF8(name[:maxName], "") + "…"
}

// appendName appends the name of a member to a path, in quotes if it could be
// misread there.
func appendName(path []byte, name string) []byte {
	name = Shorten(name)
	plain := name != ""
	for _, r := range name {
		plain = plain && (r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '-')
	}
	if !plain {
		return append(strconv.AppendQuote(append(path, '['), name), ']')
	}
	if len(path) > 0 {
		path = append(path, '.')
	}
	return append(path, name...)
}

// kindName is a kind of JSON value in words.
func kindName(k jsontext.Kind) string {
	switch k {
	case '"':
		return "a string"
	case '0':
		return "a number"
	case 't', 'f':
		return "true or false"
	case '[':
		return "an array"
	case '{':
		return "an object"
	}
	return "nothing"
}
