export * from "../lab/running.ts";
