package dev.tidegate

/** What became of a sealed body: enum tide_seal, in its order. */
enum class Seal { NONE, OPEN, LOCKED, BROKEN, BARE }

/** A document as it is shown. [body] is JSON: hand it to the app's JSON library. */
data class Document(val id: String, val body: String, val rev: Long, val pending: Boolean, val seal: Seal)

/** A push that took no effect, and waits until it is settled by [Tide.retry] or [Tide.drop]. */
data class Refusal(val id: Long, val space: String, val code: String, val message: String, val ops: String, val server: String)

fun Tide.documents(space: String, collection: String, order: String? = null, descending: Boolean = false, limit: Long = 0): List<Document> = buildList {
    query(space, collection, order, descending, limit) { id, body, rev, pending, seal -> add(Document(id, body, rev, pending, Seal.values()[seal])) }
}

fun Tide.refusals(): List<Refusal> = buildList {
    refused { id, space, code, message, ops, server -> add(Refusal(id, space, code, message, ops, server)) }
}
