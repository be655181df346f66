package intake

import (
	"github.com/go-json-experiment/json"
	"github.com/tesd/tesd/fsm"
)

// Message is what a caller sends over a WebSocket.
type Message struct {
	Type      string   // ping, pong, refresh or bump
	RequestID string   // to find the answer by; "" for none
	Key       string   // idempotency key of a bump; "" for none
	Bump      fsm.Bump // with the defaults filled in
	DryRun    bool     // whether only to plan it
}

// The members of messages. What a bump has besides is that of one over HTTP.
type (
	plainMessage struct {
		Type      *string `json:"type"`
		RequestID *string `json:"requestId"`
		Timestamp *int64  `json:"timestamp"`
	}
	bumpMessage struct {
		Type      *string `json:"type"`
		RequestID *string `json:"requestId"`
		Key       *string `json:"idempotencyKey"`
		bumpBody
	}
)

// ReadMessage reads a message. With faults it returns what could be read of the type and
// the request's id, to answer with.
func ReadMessage(text []byte, f *Faults) Message {
	var any struct {
		Type      string `json:"type"`
		RequestID string `json:"requestId"`
	}
	_ = json.Unmarshal(text, &any) // its faults are found below
	m := Message{Type: any.Type, RequestID: any.RequestID}
	fs := fields{f, func() string { return "" }}
	if m.Type != "bump" {
		var b plainMessage
		if decode(text, "", &b, f) {
			switch required(fs, "type", b.Type) {
			case "ping", "pong", "refresh":
			default:
				f.Add("type", "is not ping, pong, refresh or bump")
			}
		}
		return m
	}
	var b bumpMessage
	if !decode(text, "", &b, f) {
		return m
	}
	fs.nonEmpty("requestId", b.RequestID)
	if m.Key = fs.nonEmpty("idempotencyKey", b.Key); m.Key != "" {
		if err := fsm.CheckKey(m.Key); err != nil {
			f.Add("idempotencyKey", "%v", err)
		}
	}
	m.Bump, m.DryRun = b.bump(fs), optional(b.DryRun)
	return m
}
