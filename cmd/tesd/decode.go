package main

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
	"github.com/tesd/tesd/fsm"
)

// shapeError is what is wrong with the shape of a file.
type shapeError struct{ problems []fsm.Problem }

// Error tells one fault in a line, and several in a line each.
func (e *shapeError) Error() string {
	if len(e.problems) == 1 {
		return problemText(e.problems[0])
	}
	var b strings.Builder
	b.WriteString(count(len(e.problems), "fault", "faults"))
	for _, p := range e.problems {
		b.WriteString("\n  " + problemText(p))
	}
	return b.String()
}

// problemText is a fault in one line.
func problemText(p fsm.Problem) string {
	if p.Path == "" {
		return p.Message
	}
	return p.Path + ": " + p.Message
}

func shapeFault(path, format string, args ...any) error {
	return &shapeError{[]fsm.Problem{{Path: path, Message: fmt.Sprintf(format, args...)}}}
}

// decodeStrict reads JSON into v as a server reads a body: names that are unknown, stand
// twice or differ in case, null, and anything after the value are faults. Its error is a
// [*shapeError] with the path of the first.
func decodeStrict(raw []byte, v any) error {
	if len(bytes.TrimSpace(raw)) == 0 {
		return shapeFault("", "the file is empty")
	}
	if err := refuseNull(raw); err != nil {
		return err
	}
	return decodeFault(json.Unmarshal(raw, v, json.RejectUnknownMembers(true)))
}

// decodeFault gives an error of the JSON library its path and plain words.
func decodeFault(err error) error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		if errors.Is(e, jsontext.ErrDuplicateName) {
			return shapeFault(pathOf(e.JSONPointer), "is given more than once")
		}
		return shapeFault(pathOf(e.JSONPointer), "not valid JSON at byte %d: %v", e.ByteOffset, e.Err)
	}
	if e, ok := errors.AsType[*json.SemanticError](err); ok {
		if errors.Is(e, json.ErrUnknownName) {
			return shapeFault(pathOf(e.JSONPointer), "is not a known field")
		}
		if e.GoType != nil {
			return shapeFault(pathOf(e.JSONPointer), "must be %s", wanted(e.GoType))
		}
		return shapeFault(pathOf(e.JSONPointer), "cannot be read: %v", e.Err)
	}
	return shapeFault("", "cannot be read: %v", err)
}

// wanted is a type of Go in words of JSON.
func wanted(t reflect.Type) string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t.Kind() {
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice, reflect.Array:
		return "an array"
	case reflect.Struct, reflect.Map:
		return "an object"
	}
	return "a whole number not below 0"
}

// refuseNull finds a null, which stands for no value of any field.
func refuseNull(raw []byte) error {
	if !bytes.Contains(raw, []byte("null")) {
		return nil
	}
	dec := jsontext.NewDecoder(bytes.NewReader(raw))
	for {
		token, err := dec.ReadToken()
		if errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return decodeFault(err)
		}
		if token.Kind() == 'n' {
			return shapeFault(pathOf(dec.StackPointer()), "must not be null")
		}
	}
}

// pathOf writes a JSON pointer as the API writes paths: entities[3].files[0].pattern.
func pathOf(pointer jsontext.Pointer) string {
	var b strings.Builder
	for token := range pointer.Tokens() {
		_, err := strconv.ParseUint(token, 10, 64)
		plain := token != "" && strings.IndexFunc(token, func(r rune) bool { return !isNameRune(r) }) < 0
		switch {
		case err == nil:
			b.WriteString("[" + token + "]")
		case !plain:
			b.WriteString("[" + strconv.Quote(token) + "]")
		case b.Len() > 0:
			b.WriteString("." + token)
		default:
			b.WriteString(token)
		}
	}
	return b.String()
}

func isNameRune(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '-'
}
