package dev.keybound.testing

import dev.keybound.testing.servers.Field
import dev.keybound.testing.servers.Servers
import dev.keybound.testing.servers.ServersRequest
import okhttp3.Headers
import okhttp3.Interceptor
import okhttp3.MediaType.Companion.toMediaTypeOrNull
import okhttp3.Protocol
import okhttp3.Request
import okhttp3.Response
import okhttp3.ResponseBody.Companion.toResponseBody
import okio.Buffer

/** Answers every request by the servers, and never goes on to the network. */
internal class Answers(private val servers: Servers, private val issuer: TestIssuer) : Interceptor {
    override fun intercept(chain: Interceptor.Chain): Response {
        val request = chain.request()
        val body = Buffer().also { request.body?.writeTo(it) }.readByteArray()
        val answer = servers.answer(ServersRequest(request.method, request.url.toString(), fields(request), body), issuer.clock.now())
        val own = answer.caller?.let { caller ->
            issuer.api?.answer(request, TestCaller(caller.subject, caller.clientId, caller.scopes, caller.boundTo))
        }
        val headers = Headers.Builder().apply {
            answer.fields.forEach { addUnsafeNonAscii(it.name, it.value) }
            own?.let { set("Content-Type", it.contentType) }
        }.build()
        val text = if (request.method == "HEAD") "" else own?.body ?: answer.body
        val content = text.toResponseBody(headers["Content-Type"]?.toMediaTypeOrNull())
        return Response.Builder().request(request).protocol(Protocol.HTTP_1_1).code(own?.status ?: answer.status).message("")
            .headers(headers).body(content).build()
    }

    /** The fields as OkHttp would send them: the type of the body is one of them. */
    private fun fields(request: Request): List<Field> {
        val fields = request.headers.map { (name, value) -> Field(name, value) }
        val type = request.body?.contentType() ?: return fields
        return fields.filterNot { it.name.equals("content-type", ignoreCase = true) } + Field("Content-Type", type.toString())
    }
}
