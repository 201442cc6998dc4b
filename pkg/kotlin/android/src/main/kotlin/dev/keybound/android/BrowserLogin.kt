package dev.keybound.android

import android.app.Activity
import android.content.ActivityNotFoundException
import android.content.Context
import android.content.Intent
import android.content.pm.PackageManager
import android.net.Uri
import android.os.Bundle
import dev.keybound.Authorization

/**
 * Brings the user to a login in a Custom Tab of the device's browser, or in the browser itself where it has none.
 *
 * The browser is named: an intent without one could be taken by any app that claims the server's links, and that app would see the login.
 *
 * The browser comes back to the activity whose intent filter takes the redirect URI: hand its intent to [callback].
 */
public object BrowserLogin {
    /** Says to browsers that a Custom Tab is wanted; without one of their own sessions its value is null. */
    private const val CUSTOM_TAB = "android.support.customtabs.extra.SESSION"

    private const val CUSTOM_TABS_SERVICE = "android.support.customtabs.action.CustomTabsService"

    /**
     * Opens the login.
     *
     * @param authorization of `KeyboundClient.authorize`
     * @param browser the package of the browser to use; null for the user's, or another with Custom Tabs where none is chosen
     * @throws ActivityNotFoundException if the device has no browser
     */
    @JvmStatic
    @JvmOverloads
    public fun open(context: Context, authorization: Authorization, browser: String? = null) {
        val intent = Intent(Intent.ACTION_VIEW, Uri.parse(authorization.url))
        intent.setPackage(browser ?: browserOf(context.packageManager) ?: throw ActivityNotFoundException("this device has no browser"))
        intent.putExtras(Bundle().apply { putBinder(CUSTOM_TAB, null) })
        if (context !is Activity) intent.addFlags(Intent.FLAG_ACTIVITY_NEW_TASK)
        context.startActivity(intent)
    }

    private fun browserOf(manager: PackageManager): String? {
        // Without a host: apps that claim the links of some are left out.
        val any = Intent(Intent.ACTION_VIEW, Uri.fromParts("https", "", null)).addCategory(Intent.CATEGORY_BROWSABLE)
        val browsers = manager.queryIntentActivities(any, PackageManager.MATCH_ALL).map { it.activityInfo.packageName }
        val preferred = manager.resolveActivity(any, PackageManager.MATCH_DEFAULT_ONLY)?.activityInfo?.packageName
        return chosen(browsers, preferred) { manager.resolveService(Intent(CUSTOM_TABS_SERVICE).setPackage(it), 0) != null }
    }

    /** The user's browser; where none is chosen, [preferred] is Android's own question, and no browser. */
    internal fun chosen(browsers: List<String>, preferred: String?, hasCustomTabs: (String) -> Boolean): String? =
        preferred?.takeIf { it in browsers } ?: browsers.firstOrNull(hasCustomTabs) ?: browsers.firstOrNull()

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
