import CTidegate
import Foundation

/// A call that failed; nothing was changed.
public struct TideError: Error {
    public let code: tide_code
    public let message: String
}

/// A device's data, offline first: a handle of libtidegate. tidegate.h says what each call does. It belongs to one thread (or queue) at a time.
public final class Tide {
    private var handle: OpaquePointer?

    /// `url` nil: for work without a server. `storeKey`: 32 bytes that the file is encrypted with.
    public init(path: String, url: String? = nil, token: String? = nil, storeKey: [UInt8]? = nil) throws {
        var why = [CChar](repeating: 0, count: 256)
        precondition(storeKey == nil || storeKey!.count == Int(TIDE_KEY_BYTES))
        let code: tide_code = path.withCString { path in
            withOptional(url) { url in
                withOptional(token) { token in
                    withOptional(storeKey) { key in
                        var options = tide_options()
                        options.path = path
                        options.url = url
                        options.token = token
                        options.store_key = key
                        options.background = true
                        return tide_open(&options, &handle, &why, why.count)
                    }
                }
            }
        }
        if code != TIDE_OK { throw TideError(code: code, message: String(cString: why)) }
    }

    deinit { tide_close(handle) }

    @discardableResult
    public func put(_ space: String, _ collection: String, _ id: String, _ body: String) throws -> UInt64 {
        var push: UInt64 = 0
        try check(tide_put(handle, space, collection, id, body, &push))
        return push
    }

    @discardableResult
    public func patch(_ space: String, _ collection: String, _ id: String, _ body: String) throws -> UInt64 {
        var push: UInt64 = 0
        try check(tide_patch(handle, space, collection, id, body, &push))
        return push
    }

    /// `id` nil: one is made.
    @discardableResult
    public func append(_ space: String, _ collection: String, _ id: String?, _ body: String) throws -> UInt64 {
        var push: UInt64 = 0
        try check(tide_append(handle, space, collection, id, body, &push))
        return push
    }

    @discardableResult
    public func delete(_ space: String, _ collection: String, _ id: String) throws -> UInt64 {
        var push: UInt64 = 0
        try check(tide_delete(handle, space, collection, id, &push))
        return push
    }

    /// The body, JSON; nil: there is none.
    public func get(_ space: String, _ collection: String, _ id: String) throws -> String? {
        var doc: UnsafeMutablePointer<tide_doc>?
        let code = tide_get(handle, space, collection, id, &doc)
        if code == TIDE_NOT_FOUND { return nil }
        try check(code)
        defer { tide_doc_free(doc) }
        return doc?.pointee.body.map { String(cString: $0) }
    }

    public func subscribe(_ space: String) throws { try check(tide_subscribe(handle, space, nil)) }

    /// Once; blocks at most so long.
    public func sync(within milliseconds: Int64) throws { try check(tide_sync(handle, TIDE_BOTH, milliseconds)) }

    /// Pushes without an outcome.
    public var pending: UInt64 {
        var status = tide_status()
        tide_status(handle, &status)
        return status.pending
    }

    /// Sync work of that name, whenever there is a network; again and again in each such period, or (0) once.
    public func addWork(_ name: String, every milliseconds: Int64 = 0) throws {
        try name.withCString { name in
            var work = tide_work()
            work.name = name
            work.every_ms = milliseconds
            work.network = TIDE_NETWORK_ANY
            try check(tide_work_add(handle, &work, TIDE_KEEP))
        }
    }

    /// What the system says; the library cannot ask iOS itself.
    public func setConditions(network: Bool, unmetered: Bool, charging: Bool) {
        func known(_ holds: Bool) -> tide_known { holds ? TIDE_YES : TIDE_NO }
        var conditions = tide_conditions(network: known(network), unmetered: known(unmetered), charging: known(charging), battery_low: TIDE_NO, storage_low: TIDE_NO)
        tide_set_conditions(handle, &conditions)
    }

    /// Runs what is due and returns within that time, holding no lock. In how many ms to come again; 0: there is more now; -1: nothing waits for a time alone.
    public func runDue(within milliseconds: Int64) throws -> Int64 {
        var due = tide_due()
        try check(tide_run_due(handle, milliseconds, &due))
        return due.next_ms
    }

    /// Why nothing runs now.
    public var whyNot: String {
        var reason = tide_reason()
        tide_why_not(handle, nil, &reason)
        return reason.sentence.map { String(cString: $0) } ?? ""
    }

    private func check(_ code: tide_code) throws {
        if code != TIDE_OK { throw TideError(code: code, message: String(cString: tide_message(handle))) }
    }
}

private func withOptional<R>(_ text: String?, _ body: (UnsafePointer<CChar>?) -> R) -> R {
    guard let text = text else { return body(nil) }
    return text.withCString { body($0) }
}

private func withOptional<R>(_ bytes: [UInt8]?, _ body: (UnsafePointer<UInt8>?) -> R) -> R {
    guard let bytes = bytes else { return body(nil) }
    return bytes.withUnsafeBufferPointer { body($0.baseAddress) }
}
