/** A refused response, explained to the developer of the client. */

import { advice } from '#native';
import { explained } from './advice.js';
import type { Advice, ResponseToExplain } from './advice.js';

/** Says what is wrong with a request that was refused: challenges, nonce and clock. Give a `Response`, or its parts. */
export async function explainResponse(response: ResponseToExplain): Promise<Advice> {
  return explained(await advice(), response);
}
