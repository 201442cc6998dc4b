@file:Suppress("unused", "UnusedVariable")

package dev.keybound.android

import android.content.Context
import android.util.Log
import dev.keybound.ClientOptions
import dev.keybound.Credentials
import dev.keybound.KeyboundClient
import dev.keybound.SecurityLevel
import java.io.File

/** The README's example for Android, compiled. */
fun example(context: Context) {
    val client = KeyboundClient(
        ClientOptions(
            SecurityLevel.ENHANCED,
            redirectUri = "com.example.app:/callback",
            credentials = listOf(Credentials("https://login.example.com", "example-app")),
        ),
        AndroidKeystoreKeys("main", onFallback = { reason -> Log.i("Keybound", reason) }),
        KeystoreSessions(File(context.noBackupFilesDir, "keybound"), "main"),
    )
}
