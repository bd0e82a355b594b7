package dev.tidegate

import android.content.Context
import android.net.ConnectivityManager
import android.os.BatteryManager
import androidx.work.Constraints
import androidx.work.ExistingPeriodicWorkPolicy
import androidx.work.NetworkType
import androidx.work.PeriodicWorkRequestBuilder
import androidx.work.WorkManager
import androidx.work.Worker
import androidx.work.WorkerParameters
import java.util.concurrent.TimeUnit

/** The app's: how its Tide is opened, wherever it is needed. */
interface TideApp {
    fun openTide(): Tide
}

/**
 * What Android runs now and then. The library's own work (names, constraints, backoff, in the store) says what is due; WorkManager
 * only wakes it up. Whatever was not done in time stays due, and a process that is killed here loses nothing.
 */
class TideWorker(context: Context, parameters: WorkerParameters) : Worker(context, parameters) {
    override fun doWork(): Result {
        val app = applicationContext as TideApp
        return try {
            app.openTide().use { tide ->
                // WorkManager has seen to the network, and an app may not read /proc and /sys here: Android is asked. Room on the disk is not.
                val network = applicationContext.getSystemService(Context.CONNECTIVITY_SERVICE) as ConnectivityManager
                val battery = applicationContext.getSystemService(Context.BATTERY_SERVICE) as BatteryManager
                val level = battery.getIntProperty(BatteryManager.BATTERY_PROPERTY_CAPACITY)
                tide.setConditions(YES, known(!network.isActiveNetworkMetered), known(battery.isCharging), known(level in 0..LOW_PERCENT), NO)
                val next = tide.runDue(WITHIN_MS)
                if (next == 0L) Result.retry() else Result.success()
            }
        } catch (e: TideException) {
            if (e.code == TideException.BUSY) Result.success() // the app itself syncs just now
            else Result.retry()
        }
    }

    companion object {
        private const val NO = 1
        private const val YES = 2
        private const val LOW_PERCENT = 15
        private const val WITHIN_MS = 9L * 60 * 1000 // of the ten minutes that a worker has
        private const val NAME = "tidegate"

        private fun known(holds: Boolean) = if (holds) YES else NO

        /** Once, when the app starts: KEEP makes any number of calls one. */
        fun schedule(context: Context) {
            val constraints = Constraints.Builder().setRequiredNetworkType(NetworkType.CONNECTED).build()
            val request = PeriodicWorkRequestBuilder<TideWorker>(15, TimeUnit.MINUTES).setConstraints(constraints).build()
            WorkManager.getInstance(context).enqueueUniquePeriodicWork(NAME, ExistingPeriodicWorkPolicy.KEEP, request)
        }
    }
}
