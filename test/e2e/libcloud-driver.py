"""What people do with Apache Libcloud's CloudStack driver, which is used as it comes.

    libcloud-driver.py URL STEP [ARGUMENTS AS JSON]

The keys are FRONTDESK_API_KEY and FRONTDESK_SECRET_KEY. Prints what the step has found, as JSON.
"""

import base64
import json
import os
import sys
from urllib.parse import urlparse

from libcloud.compute.providers import get_driver
from libcloud.compute.types import Provider


def lists(driver):
    return {
        "locations": [zone.name for zone in driver.list_locations()],
        "sizes": [[size.name, size.ram] for size in driver.list_sizes()],
        "images": [image.name for image in driver.list_images()],
        "networks": [network.name for network in driver.ex_list_networks()],
        "keys": [key.name for key in driver.list_key_pairs()],
        "nodes": [shown(node) for node in driver.list_nodes()],
    }


def deploy(driver, name, image, address, userdata, key):
    pair = driver.import_key_pair_from_string(name="alice", key_material=key)
    node = driver.create_node(
        name=name,
        size=driver.list_sizes()[0],
        image=next(one for one in driver.list_images() if one.name == image),
        networks=driver.ex_list_networks(),
        ex_keyname=pair.name,
        ex_userdata=userdata,
        ex_ip_address=address,
        ex_start_vm=True,
    )
    nic = driver.ex_list_nics(node)[0]
    found = driver.ex_get_node(node.id)
    return {"node": shown(node), "same": shown(found) == shown(node), "nic": nic.ip_address}


def limits(driver, sizes):
    """Deploys with user data of so many characters of base64, each by GET and by POST."""
    params = {
        "serviceofferingid": driver.list_sizes()[0].id,
        "templateid": driver.list_images()[0].id,
        "zoneid": driver.list_locations()[0].id,
    }
    results = []
    for size in sizes:
        userdata = base64.b64encode(b"a" * (size // 4 * 3)).decode()
        for method in ["GET", "POST"]:
            if method == "GET" and size > 16384:
                continue
            asked = dict(params, userdata=userdata)
            did = attempt(driver, "deployVirtualMachine", asked, method)
            results.append([method, size, did])
    return results


def resets(driver, id, key):
    node = driver.ex_get_node(id)
    made = driver.create_key_pair("bob")
    running = attempt(driver, "resetSSHKeyForVirtualMachine", {"id": id, "keypair": "bob"})
    stopped = driver.ex_stop(node)
    keys = driver._async_request("resetSSHKeyForVirtualMachine", params={"id": id, "keypair": "bob"})
    password = driver._async_request("resetPasswordForVirtualMachine", params={"id": id})
    data = driver._sync_request(
        "resetUserDataForVirtualMachine", params={"id": id, "userdata": "dHdv"}, method="POST"
    )
    started = driver.ex_start(node)
    driver.reboot_node(node)
    return {
        "running": running,
        "states": [stopped, started],
        "privatekey": made.private_key.splitlines()[0],
        "publickey": keys["virtualmachine"]["details"]["SSH.PublicKey"],
        "password": password["virtualmachine"]["password"],
        "data": data["virtualmachine"]["id"] == id,
    }


def destroy(driver, id):
    node = driver.ex_get_node(id)
    driver.destroy_node(node, ex_expunge=True)
    for pair in driver.list_key_pairs():
        driver.delete_key_pair(pair)
    return {"gone": id not in [node.id for node in driver.list_nodes()], "keys": len(driver.list_key_pairs())}


def wrong(driver):
    """With keys that are wrong."""
    try:
        driver.list_locations()
    except Exception as error:
        return {"error": type(error).__name__}
    return {}


def attempt(driver, command, params, method="GET"):
    try:
        driver._async_request(command, params=params, method=method)
    except Exception as error:
        return getattr(error, "value", str(error))
    return "done"


def shown(node):
    return {"id": node.id, "name": node.name, "state": node.state, "addresses": node.private_ips + node.public_ips}


def main():
    url = urlparse(sys.argv[1])
    arguments = json.loads(sys.argv[3]) if len(sys.argv) > 3 else {}
    driver = get_driver(Provider.CLOUDSTACK)(
        key=os.environ["FRONTDESK_API_KEY"],
        secret=os.environ["FRONTDESK_SECRET_KEY"],
        secure=False,
        host=url.hostname,
        port=url.port,
        path=url.path,
    )
    print(json.dumps(globals()[sys.argv[2]](driver, **arguments)))


main()
