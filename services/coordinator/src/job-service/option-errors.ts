import { RpcError, toRpcError } from '@emloc/rpc';

/**
 * What the engine does for a request, whose errors about the options name the request's field.
 * @param prefix of field names, such as `job.options`
 * @param folder that no client should read of
 * @throws RpcError INVALID_ARGUMENT for options, models and data that cannot be used; other errors
 * as they are
 */
export async function withOptionFields<T>(
  prefix: string,
  folder: string,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const { code, message, reason, metadata, fieldViolations } = toRpcError(error);
    if (code !== 'INVALID_ARGUMENT' && code !== 'NOT_FOUND') throw error;
    const description = message.replaceAll(`${folder}/`, '');
    const field = fieldViolations.at(0)?.field;
    const named = field === undefined ? prefix : `${prefix}.${field}`;
    throw new RpcError('INVALID_ARGUMENT', `${named}: ${description}`, {
      reason,
      metadata,
      fieldViolations: [{ field: named, description }],
      cause: error,
    });
  }
}
