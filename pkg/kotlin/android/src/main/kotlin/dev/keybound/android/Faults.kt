package dev.keybound.android

import android.security.KeyStoreException
import android.security.keystore.KeyPermanentlyInvalidatedException
import android.security.keystore.UserNotAuthenticatedException
import dev.keybound.KeyFaultException

/** The provider of Android's Keystore. */
internal const val PROVIDER: String = "AndroidKeyStore"

/** Does something with a key, and tells whatever the Keystore throws as one of three: missing, changed, unreadable. */
internal inline fun <T> mapped(work: () -> T): T = try {
    work()
} catch (fault: KeyFaultException) {
    throw fault
} catch (thrown: Exception) {
    throw faultOf(thrown)
}

/**
 * What an exception of the Keystore means for a key.
 *
 * The Keystore wraps its reason in others, according to version and maker: the whole chain of causes is looked at. What is not known to be
 * for ever counts as [KeyFaultException.Unreadable], which keeps the session.
 */
internal fun faultOf(thrown: Throwable): KeyFaultException {
    val causes = generateSequence(thrown) { it.cause }.take(10).toList()
    for (cause in causes) {
        when (cause) {
            // New fingerprints, or the lock screen was taken away: the device made the key worthless.
            is KeyPermanentlyInvalidatedException -> return KeyFaultException.Changed(thrown)
            is UserNotAuthenticatedException -> return unreadable("the user has to unlock the device first", thrown)
            is KeyStoreException -> when (numericCode(cause)) {
                KeyStoreException.ERROR_KEY_DOES_NOT_EXIST -> return KeyFaultException.Missing(thrown)
                KeyStoreException.ERROR_KEY_CORRUPTED -> return KeyFaultException.Changed(thrown)
            }
        }
    }
    return unreadable(thrown.message ?: thrown.javaClass.simpleName, thrown)
}

/** Known from Android 13 on. */
private fun numericCode(exception: KeyStoreException): Int? = try {
    exception.numericErrorCode
} catch (_: NoSuchMethodError) {
    null
}

private fun unreadable(why: String, cause: Throwable) = KeyFaultException.Unreadable("the Keystore cannot use the key now: $why", cause)
