package app

import dev.keybound.Key
import dev.keybound.KeyboundException
import dev.keybound.MemoryReplayStore
import dev.keybound.NonceOptions
import dev.keybound.PresentedProof
import dev.keybound.ServerRole
import dev.keybound.UniffiForeignFutureDroppedCallback
import dev.keybound.UniffiForeignFutureDroppedCallbackStruct
import dev.keybound.Verifier
import dev.keybound.VerifierOptions
import dev.keybound.proof
import dev.keybound.uniffiEnsureInitialized

/** The app that `MinifiedTest` minifies, outside the package whose classes the rules name. Its proof is accepted once. */
fun main() {
    // Binds the native functions that only the check of the library's version calls.
    uniffiEnsureInitialized()
    val key = Key.generate()
    val options = VerifierOptions(nonces = NonceOptions())
    val store = MemoryReplayStore(options)
    val verifier = Verifier(options, store)

    val url = "https://api.example.com/items"
    val made = proof("GET", url, key, accessToken = "the-token", nonce = verifier.freshNonce(ServerRole.RESOURCE))
    val presented = PresentedProof.atResource("GET", url, listOf(made), accessToken = "the-token", boundTo = key.thumbprint())
    check(verifier.verify(presented, store).algorithm == "ES256")
    try {
        verifier.verify(presented, store)
    } catch (error: KeyboundException.Rejected) {
        check(error.reason == "replayed")
        handOverCallback()
        println("ok")
    }
}

/** No function of the library takes a callback today. JNA prepares one all the same, in a structure as generated code has it. */
private fun handOverCallback() {
    val callback = object : UniffiForeignFutureDroppedCallback {
        override fun callback(handle: Long) = println(handle)
    }
    UniffiForeignFutureDroppedCallbackStruct(1, callback).write()
}
