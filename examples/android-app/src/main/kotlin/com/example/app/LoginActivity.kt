package com.example.app

import android.app.Activity
import android.content.Intent
import android.os.Bundle
import android.widget.Button
import android.widget.LinearLayout
import android.widget.TextView
import dev.keybound.KeyboundException
import dev.keybound.android.BrowserLogin
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.SupervisorJob
import kotlinx.coroutines.cancel
import kotlinx.coroutines.launch
import kotlinx.coroutines.withContext

/** Logs in, calls an API, logs out. Its intent filter takes the redirect URI (see AndroidManifest.xml). */
class LoginActivity : Activity() {
    private val scope = CoroutineScope(SupervisorJob() + Dispatchers.Default)
    private lateinit var account: Account
    private lateinit var shown: TextView

    override fun onCreate(state: Bundle?) {
        super.onCreate(state)
        account = Account(applicationContext)
        shown = TextView(this)
        val column = LinearLayout(this).apply { orientation = LinearLayout.VERTICAL }
        column.addView(shown)
        column.addView(button("Log in") { account.logIn(this) })
        column.addView(button("Call the API") { show(account.session()?.let { account.items(it) } ?: "please log in") })
        column.addView(button("Log out") { account.logOut() })
        setContentView(column)
        onNewIntent(intent)
    }

    override fun onNewIntent(intent: Intent) {
        super.onNewIntent(intent)
        val callback = BrowserLogin.callback(intent, Account.REDIRECT) ?: return
        perform {
            account.loggedIn(callback)
            show("logged in")
        }
    }

    override fun onDestroy() {
        scope.cancel()
        super.onDestroy()
    }

    private fun button(label: String, work: suspend () -> Unit) = Button(this).apply {
        text = label
        setOnClickListener { perform(work) }
    }

    private fun perform(work: suspend () -> Unit) {
        scope.launch {
            try {
                work()
            } catch (_: KeyboundException.LoginRequired) {
                show("please log in")
            } catch (failure: Exception) {
                show(failure.message ?: failure.toString())
            }
        }
    }

    private suspend fun show(text: String) = withContext(Dispatchers.Main) { shown.text = text }
}
