package httpapi

import (
	"maps"

	"github.com/tesd/tesd/cluster"
	"github.com/tesd/tesd/fsm"
)

// fieldNotes is what the OpenAPI document says of fields besides their type, by the
// field's name, or by the type's and the field's where that differs.
func fieldNotes() map[string]object {
	all := entityNotes()
	maps.Copy(all, transactionNotes())
	maps.Copy(all, nodeNotes())
	maps.Copy(all, failureNotes())
	return all
}

func say(description string) object { return object{"description": description} }

func among(description string, values ...any) object {
	return object{"description": description, "enum": values}
}

func inHex(description, pattern string) object {
	return object{"description": description, "pattern": pattern}
}

func entityNotes() map[string]object {
	return map[string]object{
		"apiEndpointPrefix": say("Of an api-scope: what its routes begin with."),
		"cliCommandName":    say("Of a cli-tool: its command."),
		"currentVersion":    say("The version, as it was given until the first bump, and then strict SemVer."),
		"defaultVersion":    say("The version if the file has none."),
		"description":       say("What it is, in words."),
		"displayInUi":       say("Whether to show it to people."),
		"displayName":       say("Its name for people."),
		"domain":            among("The part of the system.", domain),
		"entities":          say("The entities, by id."),
		"entity":            say("The entity."),
		"errors":            say("What makes the registry invalid."),
		"files":             {"description": "Where the version stands.", "maxItems": fsm.MaxFiles},
		"id":                say("Its id."),
		"Entity.id":         idSchema(),
		"EntityInput.id":    idSchema(),
		"info":              say("What is worth knowing."),
		"parentVersionId":   say("The id of the parent."),
		"File.path":         say("The file, from the root of the repository."),
		"pattern":           say("RE2; its first group is the version."),
		"replacement":       say("What to put in place of the match."),
		"required":          say("Whether the file must have the version."),
		"type":              typeSchema(),
		"updateStrategy":    among("Whether it moves with its parent.", fsm.LinkedToParent, fsm.Independent),
		"valid":             say("Whether there are no errors."),
		"validation":        say("What was found in the registry."),
		"warnings":          say("What may be a mistake."),
	}
}

func transactionNotes() map[string]object {
	return map[string]object{
		"actor":            say("Who asked for the transaction."),
		"bumped":           say("The moved entities as they are afterwards, in the order of the changes."),
		"cascade":          {"description": "Whether linked children move too; false needs entityId.", "default": true},
		"changes":          say("What moved: parents before children, siblings by id."),
		"dryRun":           {"description": "Whether only to work out what would happen.", "default": false},
		"entitiesMigrated": say("How many entities were imported."),
		"entityId":         say("The id of the entity it is about; of a bump, without it all entities move."),
		"events":           say("The transactions, oldest first."),
		"expectedVersion":  say("The version that the entity must have, compared as a text; needs entityId."),
		"hash":             inHex("Hex SHA-256 of the payload.", "^[0-9a-f]{64}$"),
		"hsl":              among("The colour of an answer.", hslSuccess),
		"keyId":            inHex("Which key signed.", "^[0-9a-f]{16}$"),
		"kind":             among("What the transaction was.", "bump", "batch", "migrate", "put", "delete"),
		"migrated":         say("Whether anything was imported; false if the registry had transactions already."),
		"newVersion":       say("The version after; null if the entity was removed."),
		"next":             say("The value of after for the next page; absent on the last."),
		"oldVersion":       say("The version before; null if the entity was created."),
		"oldestRevision":   say("The oldest revision that is kept."),
		"payload":          say("The exact bytes that are signed: canonical JSON."),
		"reason":           say("Free text for the receipt, up to 1 KiB."),
		"registryId":       say("The id of the registry."),
		"requests":         {"description": "The bumps, in order.", "minItems": 1, "maxItems": fsm.MaxBatch},
		"results":          say("What each request did, in order."),
		"revision":         say("The registry's counter of transactions; of a dry run, the one it was worked out at."),
		"scope":            say("The part of the version to raise."),
		"signature":        inHex("Hex HMAC-SHA256 of the receipt's payload.", "^[0-9a-f]{64}$"),
		"source":           say("Where the entities come from."),
		"success":          among("That it was done.", true),
		"timestamp":        say("When, in Unix milliseconds; the same from every node."),
		"transactionId":    say("The id of the transaction."),
	}
}

func nodeNotes() map[string]object {
	leaders, followers, candidates, nonvoters := cluster.Leader, cluster.Follower, cluster.Candidate, cluster.Nonvoter
	return map[string]object{
		"address":             say("host:port of the node's raft port."),
		"NodeRequest.id":      nameSchema(),
		"appliedIndex":        say("The index of the last entry in the state that the node serves."),
		"clusterId":           say("The id of the cluster; empty until it is founded and the node has heard of it."),
		"connectedAt":         say("When it was opened, in Unix milliseconds."),
		"connections":         say("The connections of the node that answers which are told of transactions."),
		"lastActivity":        say("When the other side last sent anything, in Unix milliseconds."),
		"remoteAddress":       say("host:port of the other side."),
		"Connection.revision": say("Up to which revision everything was sent."),
		"commitIndex":         say("The index up to which the node knows the log to be committed."),
		"httpAddress":         say("host:port of the node's API; null if it did not say."),
		"leader":              say("The id of the node that leads; empty if this one knows of none."),
		"lifecycle":           among("The state of the registry as the node sees it.", lifecycleError, lifecycleBlocked, lifecycleCreated, lifecycleTerminated, lifecycleRunning),
		"node":                say("The id of the node that answers."),
		"nodes":               say("The nodes, by id."),
		"reachable":           say("Whether the node answered."),
		"registries":          say("The registries, by id."),
		"replace":             {"description": "Whether the node takes the place of the member of its id, whose disk is lost.", "default": false},
		"role":                among("What the node is at the moment.", leaders, followers, candidates, nonvoters),
		"NodeStatus.role":     among("What the node is at the moment; null if it did not say.", leaders, followers, candidates, nonvoters, nil),
		"stateHash":           say("A hash of the state at appliedIndex; null if the node did not say."),
		"status":              among("That it is well.", "ok"),
		"term":                say("The term of the cluster's election."),
		"threadId":            among("How the surrounding system names this part.", threadID),
		"to":                  {"description": "The id of the node that is to lead; without it, the most advanced other voter.", "minLength": 1},
		"voter":               say("Whether the node votes."),
	}
}

func failureNotes() map[string]object {
	return map[string]object{
		"code":                  say("The reason."),
		"context":               say("Where it went wrong."),
		"details":               say("The faults of the request, each with its path."),
		"error":                 say("What went wrong."),
		"ErrorBody.hsl":         among("The colour of a failure.", hslFailure),
		"message":               say("It in words."),
		"operation":             say("What was asked for: an operationId of this document, or route if there is none for the request."),
		"outcome":               say("Whether the request was applied."),
		"path":                  say("Where the fault lies: a JSON path, the name of a header, or a query parameter behind a ?."),
		"requestId":             say("The name of the request in the log."),
		"ErrorContext.scope":    among("Whether the request or the cluster is the cause.", "HTTP", "WEBSOCKET", "CLUSTER"),
		"ErrorResponse.success": among("That it was not done.", false),
	}
}
