import { quote } from '../errors.js';
import { idReason, isId, type JsonPart } from '../json.js';

/** Tokens by id and ids by token. Of two tokens with one id, the later is the id's. */
export class Vocabulary {
  readonly #tokens = new Map<number, string>();
  readonly maxId: number;
  /** No token is longer, in UTF-16 units. */
  readonly longest: number;

  constructor(readonly ids: ReadonlyMap<string, number>) {
    let maxId = -1;
    let longest = 0;
    for (const [token, id] of ids) {
      this.#tokens.set(id, token);
      if (id > maxId) maxId = id;
      if (token.length > longest) longest = token.length;
    }
    this.maxId = maxId;
    this.longest = longest;
  }

  /** From an object of ids by token. @throws TokenizerError */
  static read(part: JsonPart): Vocabulary {
    const ids = new Map<string, number>();
    for (const [token, id] of Object.entries(part.object)) {
      if (!isId(id)) part.fail(`token ${quote(token)}: ${idReason(id)}`);
      ids.set(token, id);
    }
    return new Vocabulary(ids);
  }

  get size(): number {
    return this.ids.size;
  }

  idOf(token: string): number | undefined {
    return this.ids.get(token);
  }

  tokenOf(id: number): string | undefined {
    return this.#tokens.get(id);
  }
}
