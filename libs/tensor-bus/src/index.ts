export { TensorBusError, type TensorBusErrorCode } from './errors.js';
export { createInProcessTensorBus } from './in-process.js';
export { memorySink, memorySource } from './memory.js';
export { createNatsTensorBus } from './nats/bus.js';
export type { BusSettings } from './nats/settings.js';
export type {
  IncomingLayer,
  OutgoingLayer,
  ReceiveOptions,
  TensorBus,
  TensorBusObserver,
  TensorHeader,
  TensorSink,
  TensorSource,
} from './tensor-bus.js';
export { createDurableTensorBus, type DurableBusOptions } from './durable/bus.js';
export {
  createTensorStore,
  type StoredTensors,
  type TensorSet,
  type TensorStore,
} from './durable/tensor-store.js';
