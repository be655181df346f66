// Package httpapi is the HTTP face of a node: it turns requests into commands and
// reads of the cluster, and what comes of them into answers.
//
// # What it promises
//
//   - A request has one meaning or is refused. Bodies are read strictly: unknown,
//     duplicate and differently cased names, null, trailing data, and bytes that are
//     not UTF-8 are INVALID_REQUEST, and so are unknown or repeated query parameters.
//     The answer lists all faults of a request, each with its path.
//   - A refused request has not been proposed, or the state machine refused it: it
//     changed nothing. Every error says by its outcome whether to send the request
//     again is safe, pointless, or needs the same idempotency key.
//   - Every answer that is not a success has one form, written in one place, whose
//     status follows from its code by one table. What a defect was stays in the log.
//   - A path that is not clean is NOT_FOUND. Nothing is ever redirected.
//
// # Routes
//
// The routes below /version are those of the default registry; the same ones below
// /registries/{registry}/version are those of any other. HEAD works where GET does.
//
//	POST /version/bump                 raise an entity, or all of them
//	POST /version/batch                several bumps in one transaction
//	POST /version/migrate              import a registry into one without transactions
//	GET  /version/registry             the entities; type, parent, displayInUi, q, limit, after
//	GET  /version/entities/{id...}     one entity; the id may hold slashes, escaped or not
//	GET  /version/history              transactions; after, limit, last, entityId, receipts
//	GET  /version/receipts/{revision}  the receipt of a transaction
//	GET  /version/health               how this node does, from its own state
//	GET  /cluster                      the cluster as this node sees it
//	GET  /livez                        the process is alive
//	GET  /readyz                       the node is ready; verbose
//	GET  /metrics                      what the node measures, for Prometheus
//
// Reads of a registry take consistency, max_stale and min_revision, answer with the
// revision as ETag, and honour If-None-Match. Writes take Idempotency-Key and If-Match.
//
// # Shape
//
// [Server] is an [http.Handler] without goroutines of its own. What it needs of the
// cluster is the small interface [Node]. A handler returns an answer or an error, and
// never writes either itself.
package httpapi
