package httpapi

import (
	"maps"
	"net/http"
	"slices"

	"github.com/tesd/tesd/client"
)

// operation is what the OpenAPI document says of a route besides its method and path.
type operation struct {
	tag, summary, description string

	parameters   []parameter // of the query and the header
	body         any         // a value of the type of the request's body; nil for none
	bodyOptional bool        // the request may have none
	answer       any         // a value of the type of the answer's body; nil for none
	text         string      // what the answer is if it is not JSON; "" if it always is
	status       int         // of a success, if not 200
	media        string      // the media type of text; "" for text/plain
	headers      object      // of a success, besides those of every answer
	errorHeaders object      // of an error, besides those of every answer
	notModified  bool        // 304 is an answer
	codes        []client.Code
}

// operations describes the operations of the table of routes.
func operations() map[string]operation {
	all := registryWrites()
	maps.Copy(all, registryReads())
	maps.Copy(all, clusterOperations())
	return all
}

func registryWrites() map[string]operation {
	return map[string]operation{
		"bump": writing(operation{
			summary:     "Raise an entity, or all, and what moves with them",
			description: "One transaction: all that is linked to the entity is raised with it, or nothing is. A dry run tells what it would do and changes nothing.",
			body:        client.BumpRequest{}, answer: client.BumpResponse{},
			codes: append(bumpCodes(), client.CodeBumpFailed),
		}),
		"batch": writing(operation{
			summary:     "Several bumps in one transaction",
			description: "The requests are carried out in order, each on what those before it have done: all of them or none.",
			body:        batchInput{}, answer: client.BatchResponse{},
			codes: append(bumpCodes(), client.CodeBumpFailed),
		}),
		"migrate": writing(operation{
			summary:     "Import a registry into one without transactions",
			description: "A registry that does not exist comes into being. Into one that has transactions nothing is imported, and the answer says so.",
			body:        migrateInput{}, answer: client.MigrateResponse{},
			codes: append(bodyCodes(), client.CodeRegistryInvalid),
		}),
		"put": writing(operation{
			summary:     "Create an entity, or replace all but its version",
			description: "A version moves by bumps alone: left out, the stored one stays. The first put into a registry that does not exist makes it.",
			body:        entityInput{}, answer: client.EntityWriteResponse{},
			parameters: []parameter{headerParam("If-None-Match", "To create and replace nothing.", object{"const": "*"})},
			codes:      append(bodyCodes(), client.CodeVersionConflict, client.CodeEntityExists, client.CodeRegistryInvalid),
		}),
		"delete": writing(operation{
			summary:     "Remove an entity without children",
			description: "Its id keeps its last version: it can come back above it only.",
			answer:      client.EntityWriteResponse{},
			codes:       []client.Code{client.CodeEntityNotFound, client.CodeHasChildren},
		}),
	}
}

func registryReads() map[string]operation {
	return map[string]operation{
		"registry": ofRegistry(operation{
			summary:     "The entities of a registry, by id",
			description: "All of them, or those that the filters select, page by page if there is a limit: next is the after of the page that follows.",
			answer:      client.RegistryResponse{},
			parameters: []parameter{
				queryParam("type", "Only entities of this type.", typeSchema()),
				queryParam("parent", "Only entities with this parent.", idSchema()),
				queryParam("displayInUi", "Only entities that are, or are not, to be shown.", boolSchema()),
				queryParam("q", "Only entities with this text in id, name or description, in any case.", textSchema()),
				queryParam("limit", "How many entities to answer at most; all without it.", pageSizeSchema()),
				queryParam("after", "Only entities whose ids are above this one.", idSchema()),
			},
		}),
		"entity": ofRegistry(operation{
			summary:     "One entity",
			description: "As it is at the revision that the answer names.",
			answer:      client.EntityResponse{}, codes: []client.Code{client.CodeEntityNotFound},
		}),
		"history": ofRegistry(operation{
			summary:     "The transactions of a registry, oldest first",
			description: "next is the after of the page that follows. Below oldestRevision, transactions are no longer kept.",
			answer:      client.HistoryResponse{},
			parameters: []parameter{
				queryParam("after", "Only transactions after this revision.", revisionSchema()),
				queryParam("limit", "How many transactions to answer at most; 1,000 without it.", pageSizeSchema()),
				queryParam("last", "The newest that many; not with after or limit.", pageSizeSchema()),
				queryParam("entityId", "Only transactions that changed this entity.", idSchema()),
				queryParam("receipts", "Whether each transaction comes with its payload and hash.", boolSchema()),
			},
			codes: []client.Code{client.CodeEntityNotFound, client.CodeRevisionCompacted},
		}),
		"receipt": ofRegistry(operation{
			summary:     "The signed record of a transaction",
			description: "The payload is the very text that was hashed and signed; its hash goes into the payload of the next one.",
			answer:      client.Receipt{},
			codes:       []client.Code{client.CodeRevisionNotFound, client.CodeRevisionCompacted},
		}),
		"watch": watching(operation{
			summary: "Be told of transactions, over a WebSocket",
			description: "An upgrade to a WebSocket that offers the sub-protocol " + subprotocol + ". It may also be asked for at the " +
				"path without ws. The messages are JSON objects with a type, one to a text frame: see docs/api.md.",
			status: http.StatusSwitchingProtocols,
		}),
		"events": watching(operation{
			summary:     "Be told of transactions, by server-sent events",
			description: "What the WebSocket tells, in the same order and as completely, for clients and proxies that know HTTP alone.",
			text:        "Events named event, bookmark and error; the id is the revision, the data is the message of the WebSocket.", media: eventStream,
			parameters: []parameter{headerParam("Last-Event-ID", "As since, and stronger.", revisionSchema())},
			headers:    headerRefs("ETag", "Tes-Revision"),
		}),
	}
}

func clusterOperations() map[string]operation {
	return map[string]operation{
		"health": ofNode(operation{
			summary:     "How a node does",
			description: "From the state of this node, which is told also while it does not serve.",
			answer:      client.Health{}, codes: []client.Code{client.CodeRegistryNotFound},
		}),
		"registries": {
			tag: "cluster", summary: "The registries of the cluster, by id",
			description: "With the revision, the number of entities and the lifecycle of each.",
			answer:      client.RegistriesResponse{},
			parameters:  freshness(), codes: readCodes(),
		},
		"cluster": ofNode(operation{
			summary:     "The cluster as a node sees it",
			description: "Each member is asked how it is, and half a second is waited for the answers, for a node that hangs not every time. Works without a leader.",
			answer:      client.ClusterStatus{},
		}),
		"backup": {
			tag: "cluster", summary: "The whole state of the cluster, to restore from",
			description: "One moment of all registries, while writes go on. Its checksums are tested by whoever restores it.",
			media:       backupType,
			text:        "What tesd restore takes: every registry with its history, all idempotency keys, and the signing key if the cluster made it.",
			headers:     headerRefs("Tes-Applied-Index", "Tes-State-Hash"),
			parameters:  freshness(), codes: readCodes(),
		},
		"addNode": changing(operation{
			summary: "Make a node a member, or tell that it has moved",
			description: "The node must run and wait to be added. It votes once it and every voter have caught up. With replace " +
				"it takes the place of a member of its id that lost its disk.",
			body: client.NodeRequest{}, codes: bodyCodes(),
		}),
		"removeNode": changing(operation{
			summary:     "Take a node out of the cluster",
			description: "A leader hands leadership over first. Refused if what is left had no majority that answers.",
			codes:       []client.Code{client.CodeNotFound},
		}),
		"transfer": changing(operation{
			summary: "Hand leadership over", description: "Without a body, to the most advanced other voter.",
			body: client.TransferRequest{}, bodyOptional: true, codes: append(bodyCodes(), client.CodeNotFound),
		}),
		"livez": ofNode(operation{
			summary:     "Whether the process is alive",
			description: "Says nothing of the cluster: a node without a leader is alive.",
			answer:      alive{},
		}),
		"readyz": ofNode(operation{
			summary:     "Whether a node is ready to serve",
			description: "It is if it is a member, knows a leader, has caught up, has room on its disk and is not shutting down.",
			answer:      alive{}, text: "With verbose, a line for each check.",
			parameters: []parameter{queryParam("verbose", "Answer a line for each check; its value may be left out.", object{"enum": []string{"", "true", "false"}})},
			codes:      []client.Code{client.CodeNotReady},
		}),
		"metrics": ofNode(operation{
			summary:     "What a node measures",
			description: "From its own state and at once, also while it drains or knows of no leader.",
			text:        "The text format of Prometheus.",
		}),
		"openapi": ofNode(operation{
			summary:     "This document",
			description: "Made of the routes, types and errors that serve.",
			answer:      anyObject{},
		}),
	}
}

// ofRegistry completes the description of a read of a registry.
func ofRegistry(o operation) operation {
	o.tag, o.notModified = "registry", true
	o.parameters = slices.Concat(o.parameters, freshness(), []parameter{
		queryParam("min_revision", "Wait until the node has this revision.", revisionSchema()),
		headerParam("If-None-Match", "The revision that the caller has, in quotes, or a list of them, or *.", textSchema()),
	})
	o.codes = slices.Concat(o.codes, readCodes(), []client.Code{client.CodeRegistryNotFound})
	o.headers = headerRefs("ETag", "Tes-Revision")
	return o
}

// watching completes the description of a way to be told of transactions.
func watching(o operation) operation {
	o.tag = "registry"
	o.parameters = append(o.parameters,
		queryParam("since", "Begin behind this revision; without it, behind the present one.", revisionSchema()),
		queryParam("cluster", "The id of the cluster that since is of.", textSchema()),
		queryParam("entity", "Only transactions that moved an entity whose id matches: * is any characters, ? is one.", textSchema()),
		queryParam("type", "Only transactions that moved an entity of this type.", typeSchema()),
		queryParam("receipts", "Whether each event comes with its payload and hash.", boolSchema()),
	)
	o.errorHeaders = headerRefs("Sec-Websocket-Version")
	o.codes = append(o.codes, readCodes()...)
	o.codes = append(o.codes, client.CodeRegistryNotFound, client.CodeForbidden, client.CodeRevisionCompacted, client.CodeRevisionAhead,
		client.CodeClusterChanged, client.CodeTooManyConnections)
	return o
}

// writing completes the description of a write to a registry.
func writing(o operation) operation {
	o.tag = "registry"
	o.parameters = append(o.parameters,
		headerParam("Idempotency-Key", "Under this key the request is carried out once, however often it is sent.",
			object{"type": "string", "pattern": "^[ -~]{1,255}$"}),
		headerParam("If-Match", "The revision, in quotes, that the registry must be at.", object{"type": "string", "pattern": `^"[0-9]+"$`}))
	o.codes = append(o.codes, client.CodeInvalidRequest, client.CodeRegistryNotFound, client.CodeRevisionMismatch, client.CodeIdempotencyKeyReused,
		client.CodeTooManyRequests, client.CodeNoLeader, client.CodeNotReady, client.CodeShuttingDown, client.CodeStorageFull,
		client.CodeOutcomeUnknown, client.CodeInternal)
	o.headers = headerRefs("ETag", "Tes-Revision", "Tes-Sig", "Idempotency-Replayed")
	o.errorHeaders = headerRefs("Idempotency-Replayed")
	return o
}

// changing completes the description of a change of the membership.
func changing(o operation) operation {
	o.tag, o.answer = "cluster", client.ClusterStatus{}
	o.codes = append(o.codes, client.CodeInvalidRequest, client.CodeMembership, client.CodeTooManyRequests, client.CodeNoLeader,
		client.CodeNotReady, client.CodeShuttingDown, client.CodeStorageFull, client.CodeOutcomeUnknown, client.CodeInternal)
	return o
}

// ofNode completes the description of what is about one node.
func ofNode(o operation) operation {
	o.tag = "node"
	o.codes = append(o.codes, client.CodeInvalidRequest, client.CodeInternal)
	return o
}

// readCodes are the codes of what is read from the replicated state.
func readCodes() []client.Code {
	return []client.Code{
		client.CodeInvalidRequest, client.CodeTooManyRequests, client.CodeNoLeader, client.CodeNotReady, client.CodeShuttingDown, client.CodeInternal,
	}
}

// bodyCodes are the codes of a write with a body.
func bodyCodes() []client.Code {
	return []client.Code{client.CodePayloadTooLarge, client.CodeUnsupportedMediaType}
}

// bumpCodes are the codes of what raises versions.
func bumpCodes() []client.Code {
	return append(bodyCodes(), client.CodeEntityNotFound, client.CodeVersionConflict, client.CodeVersionOverflow)
}

// freshness are the parameters that say how fresh a read must be.
func freshness() []parameter {
	return []parameter{
		queryParam("consistency", "Whether the answer holds all that was acknowledged before, or is this node's own state.",
			object{"type": "string", "enum": []string{"linearizable", "stale"}, "default": "linearizable"}),
		queryParam("max_stale", "Answer this node's own state if it is known to be no older, such as 2s.", object{"type": "string", "minLength": 1}),
	}
}
