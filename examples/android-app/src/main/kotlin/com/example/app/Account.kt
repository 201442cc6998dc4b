package com.example.app

import android.content.Context
import android.util.Log
import dev.keybound.ClientOptions
import dev.keybound.Credentials
import dev.keybound.KeyboundClient
import dev.keybound.KeyboundException
import dev.keybound.SecurityLevel
import dev.keybound.Session
import dev.keybound.SessionRequest
import dev.keybound.SessionStart
import dev.keybound.android.AndroidKeystoreKeys
import dev.keybound.android.BrowserLogin
import dev.keybound.android.KeystoreSessions
import okhttp3.OkHttpClient
import okhttp3.Request
import java.io.File

/** One account of the app: its key is in the Keystore, its session is encrypted by another. */
class Account(context: Context, name: String = "main") {
    private val client = KeyboundClient(
        ClientOptions(
            SecurityLevel.ENHANCED,
            redirectUri = REDIRECT,
            credentials = listOf(Credentials("https://login.example.com", "example-app")),
        ),
        AndroidKeystoreKeys(name, onFallback = { reason -> Log.i("Keybound", reason) }),
        KeystoreSessions(File(context.noBackupFilesDir, "keybound"), name),
    )
    private var session: Session? = null

    /** Begins a login in the browser. It comes back to [LoginActivity]. */
    suspend fun logIn(context: Context) {
        val start = SessionStart.New("main", client.discover(API))
        BrowserLogin.open(context, client.authorize(SessionRequest(start, scope = "read", offlineAccess = true)))
    }

    /** Completes it. */
    suspend fun loggedIn(callback: String) {
        session = client.exchange(callback)
    }

    /** The session of this or an earlier start; null if the user has to log in. */
    suspend fun session(): Session? = session ?: try {
        client.open("main").also { session = it }
    } catch (_: KeyboundException.LoginRequired) {
        null
    }

    /** An `OkHttpClient` for Retrofit and others: each request has its proof. */
    fun http(session: Session): OkHttpClient = client.install(OkHttpClient.Builder(), session)

    /** A call without one. */
    suspend fun items(session: Session): String =
        client.call(session, Request.Builder().url(API).build()).use { it.body!!.string() }

    /** Logs out. */
    suspend fun logOut() {
        session?.let { client.end(it) }
        session = null
    }

    companion object {
        const val REDIRECT = "com.example.app:/callback"
        private const val API = "https://api.example.com/items"
    }
}
