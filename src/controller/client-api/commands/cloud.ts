/** What clients ask of the cloud itself before they ask for instances. */

import { ACCOUNT, CLOUD_ID, DOMAIN, USER, VERSION } from "../catalogue.ts";
import { type Command, define } from "../command.ts";
import { refuse } from "../errors.ts";
import { PAGING } from "../page.ts";

export const listCapabilities: Command = define({
  kind: "read",
  params: {},
  answer: async () => ({
    capability: {
      securitygroupsenabled: false,
      cloudstackversion: VERSION,
      userpublictemplateenabled: false,
      supportELB: "false",
      projectinviterequired: false,
      allowusercreateprojects: false,
    },
  }),
});

/** The user of an API key, which is the same one for all keys. */
export const getUser: Command = define({
  kind: "read",
  params: { userapikey: { kind: "text", required: true } },
  answer: async ({ userapikey }, { isKey }) => {
    if (!isKey(userapikey)) throw refuse("parameter", "userapikey: there is no such key");
    return {
      user: {
        id: USER.id,
        username: USER.name,
        account: ACCOUNT.name,
        accountid: ACCOUNT.id,
        domainid: DOMAIN.id,
        domain: DOMAIN.name,
        state: "enabled",
      },
    };
  },
});

export const getCloudIdentifier: Command = define({
  kind: "read",
  params: { userid: { kind: "text", required: true } },
  answer: async ({ userid }) => {
    if (userid !== USER.id) throw refuse("parameter", "userid: there is no such user");
    return { cloudidentifier: { userid, cloudidentifier: CLOUD_ID } };
  },
});

/** Of things that no lab has: addresses before a router, projects, settings of its own. */
export const nothing: Command = define({
  kind: "read",
  params: PAGING,
  answer: async () => ({}),
});
