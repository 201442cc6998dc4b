/** What the environment of a process says about others like it. */

/** Other workers that a store in memory would not hear of. */
export interface OtherWorkers {
  /** What was seen, as a clause. */
  readonly what: string;
  /** They are there, whatever the program says of its workers. */
  readonly certain: boolean;
}

/** Platforms that start as many instances as there are requests, by a variable that each of them sets. */
const ELASTIC = [
  ['AWS_LAMBDA_FUNCTION_NAME', 'AWS Lambda'], ['FUNCTIONS_WORKER_RUNTIME', 'Azure Functions'], ['K_SERVICE', 'Cloud Run'], ['VERCEL', 'Vercel'],
] as const;

/** What the environment says, the most certain first. */
export function environment(variables: Readonly<Record<string, string | undefined>>): OtherWorkers | undefined {
  // PM2 tells each process how many it started, and numbers them.
  for (const name of ['instances', 'PM2_INSTANCES']) {
    const value = variables[name];
    if (isSeveral(value)) return { what: `PM2 runs several processes of this program (${name}=${value})`, certain: true };
  }
  const instance = variables['NODE_APP_INSTANCE'];
  if (Number(instance) > 0) return { what: `this is one of several processes (NODE_APP_INSTANCE=${instance})`, certain: true };
  // These may be meant for another program, and PM2 can start more of this one later.
  const concurrency = variables['WEB_CONCURRENCY'];
  if (isSeveral(concurrency)) return { what: `WEB_CONCURRENCY=${concurrency} declares several workers`, certain: false };
  if (instance !== undefined || variables['pm_id'] !== undefined) return { what: 'PM2 runs this process, and can run others beside it', certain: false };
  if (variables['NODE_UNIQUE_ID'] !== undefined) return { what: 'this process is one worker of a cluster', certain: false };
  const platform = ELASTIC.find(([name]) => variables[name] !== undefined);
  return platform && { what: `${platform[1]} runs several instances of a program`, certain: false };
}

function isSeveral(value: string | undefined): boolean {
  return value !== undefined && (value === 'max' || Number(value) > 1 || Number(value) < 0);
}
