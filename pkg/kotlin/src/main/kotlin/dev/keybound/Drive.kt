package dev.keybound

import kotlinx.coroutines.CancellationException
import kotlinx.coroutines.NonCancellable
import kotlinx.coroutines.delay
import kotlinx.coroutines.withContext
import java.io.IOException
import java.net.ConnectException
import java.net.NoRouteToHostException
import java.net.UnknownHostException

/** Sends requests of the core: the authorization server's, or the caller's own with the body that the caller has. */
internal fun interface Exchange {
    suspend fun send(request: HttpRequest): HttpResponse
}

/** All that a flow asks for. */
internal class Host(
    val keys: ProofKeyStore,
    val sessions: SessionStore,
    val exchange: Exchange,
    val clock: Clock,
    val sweeper: Sweeper? = null,
    /** Waits this many milliseconds. */
    val wait: suspend (Long) -> Unit = ::delay,
)

/**
 * Runs a flow to its end.
 *
 * What the host throws ends the flow as the core decides, and if the flow ends because of it, that very exception is thrown. Locks are
 * given back whatever happens.
 *
 * A cancelled coroutine ends its flow where that loses nothing: while it waits, for a lock, for metadata, or for the answer to the caller's own
 * request. A token that a server has renewed, and taken the old one for, is stored first.
 *
 * @param own sends the caller's own request, in flows of `CoreOperation.Call`
 */
internal suspend fun drive(flow: CoreFlow, host: Host, own: Exchange? = null): Outcome {
    val held = LinkedHashMap<String, StoreLock>()
    var fault: Exception? = null
    try {
        var step = flow.step()
        while (step !is Step.Done) {
            val reply = try {
                if (canBeCancelled(step, own)) answer(step, host, held, own) else withContext(NonCancellable) { answer(step, host, held, own) }
            } catch (cancelled: CancellationException) {
                throw cancelled
            } catch (thrown: Exception) {
                fault = thrown
                failure(step, thrown)
            }
            step = flow.resume(reply, host.clock.now())
        }
        return step.outcome
    } catch (error: KeyboundException) {
        val isHosts = error is KeyboundException.Host || error.fault.reason == "key_unreadable"
        if (isHosts && fault != null) throw fault
        if (error is KeyboundException.LoginRequired && fault is KeyFaultException) error.initCause(fault)
        throw error
    } finally {
        held.values.forEach(StoreLock::release)
        flow.close()
    }
}

private fun canBeCancelled(step: Step, own: Exchange?): Boolean = when (step) {
    // A `GET` of the core asks and changes nothing.
    is Step.Fetch -> step.request.method == "GET" || own != null && step.request.maxBody == null
    is Step.Lock, is Step.Wait -> true
    else -> false
}

private suspend fun answer(step: Step, host: Host, held: MutableMap<String, StoreLock>, own: Exchange?): Reply =
    when (step) {
        is Step.CreateKey -> Reply.KeyCreated(created(step, host))
        is Step.DeleteKey -> {
            host.keys.deleteKey(step.thumbprint)
            Reply.Completed
        }
        is Step.Sign -> Reply.Signed(host.keys.sign(step.request))
        is Step.Fetch -> {
            // What the core reads itself is sent by the host; the caller's own request by whoever has its body.
            val exchange = own?.takeIf { step.request.maxBody == null } ?: host.exchange
            Reply.Answered(exchange.send(step.request))
        }
        is Step.Lock -> {
            held[step.name] = host.sessions.lock(step.name, step.lease)
            Reply.Completed
        }
        is Step.Unlock -> {
            held.remove(step.name)?.release()
            Reply.Completed
        }
        is Step.Load -> Reply.Loaded(host.sessions.load(step.slot))
        is Step.Save -> Reply.Saved(host.sessions.save(step.slot, step.expected, step.version, step.value))
        is Step.Wait -> {
            host.wait(step.milliseconds)
            Reply.Completed
        }
        is Step.Done -> error("a flow that is done asks for nothing")
    }

private suspend fun created(step: Step.CreateKey, host: Host): CreatedKey {
    val sweeper = host.sweeper
    val keys = host.keys
    return if (sweeper != null && keys is SweptKeyStore) keys.createKey(step.algorithms, step.protections, sweeper.owner)
    else keys.createKey(step.algorithms, step.protections)
}

/**
 * Whether no byte of the request left. OkHttp tries several addresses, and may have sent the request to one before it fails at the next: what
 * came before is among the suppressed.
 */
private fun Throwable.isNotSent(): Boolean =
    (this is ConnectException || this is UnknownHostException || this is NoRouteToHostException) && suppressed.all { it.isNotSent() }

private fun failure(step: Step, thrown: Exception): Reply {
    val detail = thrown.message ?: thrown.javaClass.simpleName
    if (step is Step.Fetch && thrown is IOException && thrown.isNotSent()) return Reply.NotSent(detail)
    if (step !is Step.Sign) return Reply.Failed(detail)
    return when (thrown) {
        is KeyFaultException.Missing -> Reply.KeyMissing
        is KeyFaultException.Changed -> Reply.KeyChanged
        is KeyFaultException.Unreadable -> Reply.KeyUnreadable(detail)
        else -> Reply.Failed(detail)
    }
}
