import type { DescMessage, MessageInitShape, MessageShape } from '@bufbuild/protobuf';
import type { GenService, GenServiceMethods } from '@bufbuild/protobuf/codegenv2';

/** A service of the contracts, as generated. */
export type Service = GenService<GenServiceMethods>;

interface Method<Kind extends string, Input extends DescMessage, Output extends DescMessage> {
  readonly methodKind: Kind;
  readonly input: Input;
  readonly output: Output;
}

/**
 * What implements a method. `Extra` is the second argument. Streams are async iterables; messages
 * may be given as plain objects.
 */
type HandlerOf<M, Extra> =
  M extends Method<'unary', infer I, infer O>
    ? (request: MessageShape<I>, extra: Extra) => Promise<MessageInitShape<O>>
    : M extends Method<'server_streaming', infer I, infer O>
      ? (request: MessageShape<I>, extra: Extra) => AsyncIterable<MessageInitShape<O>>
      : M extends Method<'client_streaming', infer I, infer O>
        ? (requests: AsyncIterable<MessageShape<I>>, extra: Extra) => Promise<MessageInitShape<O>>
        : M extends Method<'bidi_streaming', infer I, infer O>
          ? (
              requests: AsyncIterable<MessageShape<I>>,
              extra: Extra,
            ) => AsyncIterable<MessageInitShape<O>>
          : never;

/**
 * What calls a method. A stream that is returned is read once; ending its iteration early cancels
 * the call.
 */
type CallerOf<M, Options> =
  M extends Method<'unary', infer I, infer O>
    ? (request: MessageInitShape<I>, options?: Options) => Promise<MessageShape<O>>
    : M extends Method<'server_streaming', infer I, infer O>
      ? (request: MessageInitShape<I>, options?: Options) => AsyncIterable<MessageShape<O>>
      : M extends Method<'client_streaming', infer I, infer O>
        ? (
            requests: AsyncIterable<MessageInitShape<I>>,
            options?: Options,
          ) => Promise<MessageShape<O>>
        : M extends Method<'bidi_streaming', infer I, infer O>
          ? (
              requests: AsyncIterable<MessageInitShape<I>>,
              options?: Options,
            ) => AsyncIterable<MessageShape<O>>
          : never;

export type Handlers<S extends Service, Extra> = {
  readonly [K in keyof S['method']]: HandlerOf<S['method'][K], Extra>;
};

export type Callers<S extends Service, Options> = {
  readonly [K in keyof S['method']]: CallerOf<S['method'][K], Options>;
};
