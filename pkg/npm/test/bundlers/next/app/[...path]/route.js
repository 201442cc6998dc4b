import { app } from '../../app.js';

export const GET = (request) => app.fetch(request);
