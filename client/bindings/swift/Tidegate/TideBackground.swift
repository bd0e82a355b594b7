#if canImport(BackgroundTasks)
import BackgroundTasks
import Foundation

/// What iOS runs now and then: the library's own work says what is due. Info.plist lists `identifier` under BGTaskSchedulerPermittedIdentifiers.
///
/// A refresh has about 30 s. runDue() returns within its time and holds no lock then, so that the app is never suspended with the store
/// locked (which iOS answers by killing it, 0xdead10cc).
public enum TideBackground {
    public static let identifier = "dev.tidegate.refresh"
    private static let withinMs: Int64 = 25_000

    /// In application(_:didFinishLaunchingWithOptions:), before it returns. `open`: how the app opens its Tide. `conditions`: what the app knows of
    /// the network and the charger (NWPathMonitor, UIDevice); as long as it says false, work that needs one of the two waits.
    public static func register(open: @escaping () throws -> Tide, conditions: @escaping () -> (unmetered: Bool, charging: Bool) = { (false, false) }) {
        BGTaskScheduler.shared.register(forTaskWithIdentifier: identifier, using: DispatchQueue(label: identifier)) { task in
            schedule() // the next one, whatever becomes of this
            do {
                let tide = try open()
                let known = conditions()
                tide.setConditions(network: true, unmetered: known.unmetered, charging: known.charging)
                _ = try tide.runDue(within: withinMs)
                task.setTaskCompleted(success: true)
            } catch {
                task.setTaskCompleted(success: false)
            }
        }
    }

    public static func schedule(after seconds: TimeInterval = 15 * 60) {
        let request = BGAppRefreshTaskRequest(identifier: identifier)
        request.earliestBeginDate = Date(timeIntervalSinceNow: seconds)
        try? BGTaskScheduler.shared.submit(request)
    }
}
#endif
