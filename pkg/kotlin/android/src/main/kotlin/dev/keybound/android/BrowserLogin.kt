package dev.keybound.android

import android.app.Activity
import android.content.Context
import android.content.Intent
import android.net.Uri
import android.os.Bundle
import dev.keybound.Authorization

/**
 * Brings the user to a login in a Custom Tab of the device's browser, or in the browser itself where it has none.
 *
 * The browser comes back to the activity whose intent filter takes the redirect URI: hand its intent to [callback].
 */
public object BrowserLogin {
    /** Says to browsers that a Custom Tab is wanted; without one of their own sessions its value is null. */
    private const val CUSTOM_TAB = "android.support.customtabs.extra.SESSION"

    /**
     * Opens the login.
     *
     * @param authorization of `KeyboundClient.authorize`
     * @throws android.content.ActivityNotFoundException if the device has no browser
     */
    @JvmStatic
    public fun open(context: Context, authorization: Authorization) {
        val intent = Intent(Intent.ACTION_VIEW, Uri.parse(authorization.url))
        intent.putExtras(Bundle().apply { putBinder(CUSTOM_TAB, null) })
        if (context !is Activity) intent.addFlags(Intent.FLAG_ACTIVITY_NEW_TASK)
        context.startActivity(intent)
    }

    /**
     * The URL for `KeyboundClient.exchange`, if an activity was started by the browser that came back; null if by something else.
     *
     * @param redirectUri of the client's options
     */
    @JvmStatic
    public fun callback(intent: Intent, redirectUri: String): String? {
        val url = intent.dataString ?: return null
        val isOurs = url == redirectUri || url.startsWith("$redirectUri?")
        return url.takeIf { intent.action == Intent.ACTION_VIEW && isOurs }
    }
}
