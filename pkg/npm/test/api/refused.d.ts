import type { Advice, ResponseToExplain } from './advice.js';
export declare function explainResponse(response: ResponseToExplain): Promise<Advice>;
