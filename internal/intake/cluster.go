package intake

// Node reads the body of a request to add a node: its id, the address of its raft port,
// and whether it takes the place of one that is lost. ok is false if nothing more can be
// found wrong.
func Node(body []byte, f *Faults) (id, address string, replace, ok bool) {
	var b nodeBody
	if !decode(body, "", &b, f) {
		return "", "", false, false
	}
	fs := fields{f, func() string { return "" }}
	return required(fs, "id", b.ID), required(fs, "address", b.Address), optional(b.Replace), true
}

// Transfer reads the body of a request to hand leadership over: to whom, "" for anyone.
func Transfer(body []byte, f *Faults) (to string) {
	var b transferBody
	if !decode(body, "", &b, f) {
		return ""
	}
	return fields{f, func() string { return "" }}.nonEmpty("to", b.To)
}
