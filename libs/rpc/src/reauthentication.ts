import type {
  AuthenticatedCall,
  Authenticator,
  PresentedIdentity,
  Principal,
} from './authentication.js';
import type { CallLife } from './context.js';
import { toRpcError } from './engine-errors.js';
import { RpcError } from './errors.js';

/** Ends the calls whose caller would not be let in any more: its token was revoked or expired. */
export async function endUnwelcome(lives: Iterable<CallLife>): Promise<void> {
  const asked = new Map<Authenticator, Map<string, Promise<Principal | RpcError>>>();
  const ask = ({ authenticate, identity }: AuthenticatedCall): Promise<Principal | RpcError> => {
    const answers = asked.get(authenticate) ?? new Map<string, Promise<Principal | RpcError>>();
    asked.set(authenticate, answers);
    const key = JSON.stringify(identity);
    const answer = answers.get(key) ?? answerOf(authenticate, identity);
    answers.set(key, answer);
    return answer;
  };
  for (const life of [...lives]) {
    if (!life.caller) continue;
    const answer = await ask(life.caller);
    if (answer instanceof RpcError) life.abort(answer);
    else if (JSON.stringify(answer) !== JSON.stringify(life.caller.principal))
      life.abort(
        new RpcError('UNAUTHENTICATED', 'the bearer token stands for somebody else by now', {
          reason: 'TOKEN_INVALID',
        }),
      );
  }
}

async function answerOf(
  authenticate: Authenticator,
  identity: PresentedIdentity,
): Promise<Principal | RpcError> {
  try {
    return await authenticate(identity);
  } catch (error) {
    return toRpcError(error);
  }
}
