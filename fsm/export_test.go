package fsm

// SetMaxKeys sets how many idempotency keys the table holds, so that tests can fill it.
func SetMaxKeys(m *Machine, n uint64) { m.maxKeys = n }
