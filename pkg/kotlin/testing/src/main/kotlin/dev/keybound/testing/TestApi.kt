package dev.keybound.testing

import okhttp3.Request

/** The API of a [TestIssuer], as far as the app's test needs it. It is asked for requests that were admitted alone. */
public fun interface TestApi {
    /** The answer to a request. Fields such as `DPoP-Nonce` are added to it. */
    public fun answer(request: Request, caller: TestCaller): TestResponse
}

/**
 * Who called: what the access token says.
 *
 * @property subject the user (`sub`)
 * @property clientId the client that the token was issued to
 * @property scopes what it permits
 * @property boundTo the thumbprint of the key that it is bound to
 */
public class TestCaller internal constructor(
    public val subject: String?,
    public val clientId: String?,
    public val scopes: List<String>,
    public val boundTo: String?,
)

/**
 * An answer of a [TestApi].
 *
 * @property body its text
 * @property status the HTTP status
 * @property contentType what the text is
 */
public class TestResponse @JvmOverloads constructor(
    public val body: String,
    public val status: Int = 200,
    public val contentType: String = "application/json",
)
