export { TensorBusError } from './errors.js';
export { createInProcessTensorBus } from './in-process.js';
export { memorySource } from './memory.js';
export { createNatsTensorBus } from './nats/bus.js';
export type { BusSettings } from './nats/settings.js';
export type { IncomingLayer, OutgoingLayer, TensorBus, TensorSource } from './tensor-bus.js';
export { createDurableTensorBus } from './durable/bus.js';
export { createTensorStore, type TensorStore } from './durable/tensor-store.js';
