/**
 * The table of commands, one line each. To add one: write it in `commands/`, and add a line.
 */

import type { Command } from "./command.ts";
import {
  listNetworks,
  listOfferings,
  listTemplates,
  listZones,
} from "./commands/catalogue-lists.ts";
import { getCloudIdentifier, getUser, listCapabilities, nothing } from "./commands/cloud.ts";
import { deploy } from "./commands/deploy.ts";
import { destroy } from "./commands/destroy.ts";
import { getUserData } from "./commands/get-user-data.ts";
import { queryJob } from "./commands/job-result.ts";
import {
  createKeyPair,
  deleteKeyPair,
  listKeyPairs,
  registerKeyPair,
} from "./commands/key-pairs.ts";
import { listInstances } from "./commands/list-instances.ts";
import { listVolumes } from "./commands/list-volumes.ts";
import { listNics } from "./commands/nics.ts";
import { reboot, start, stop } from "./commands/power.ts";
import { deleteUserData, listUserData, registerUserData } from "./commands/registered-user-data.ts";
import { resetPassword, resetSshKey, resetUserData } from "./commands/resets.ts";
import { restore } from "./commands/restore.ts";
import { update } from "./commands/update.ts";

// biome-ignore format: a table
export const commands: Readonly<Record<string, Command>> = {
  deployVirtualMachine:           deploy,
  updateVirtualMachine:           update,
  startVirtualMachine:            start,
  stopVirtualMachine:             stop,
  rebootVirtualMachine:           reboot,
  destroyVirtualMachine:          destroy,
  listVirtualMachines:            listInstances,
  getVirtualMachineUserData:      getUserData,
  resetSSHKeyForVirtualMachine:   resetSshKey,
  resetPasswordForVirtualMachine: resetPassword,
  resetUserDataForVirtualMachine: resetUserData,
  restoreVirtualMachine:          restore,
  registerUserData:               registerUserData,
  listUserData:                   listUserData,
  deleteUserData:                 deleteUserData,
  createSSHKeyPair:               createKeyPair,
  registerSSHKeyPair:             registerKeyPair,
  listSSHKeyPairs:                listKeyPairs,
  deleteSSHKeyPair:               deleteKeyPair,
  listZones:                      listZones,
  listTemplates:                  listTemplates,
  listServiceOfferings:           listOfferings,
  listNetworks:                   listNetworks,
  listNics:                       listNics,
  listVolumes:                    listVolumes,
  queryAsyncJobResult:            queryJob,
  listCapabilities:               listCapabilities,
  getUser:                        getUser,
  getCloudIdentifier:             getCloudIdentifier,
  listAccounts:                   nothing,
  listConfigurations:             nothing,
  listIpForwardingRules:          nothing,
  listPortForwardingRules:        nothing,
  listProjects:                   nothing,
  listPublicIpAddresses:          nothing,
};
